"""What the tests of refunds share with those of paying."""

from tests.payments.conftest import desk, settings

__all__ = ["desk", "settings"]
