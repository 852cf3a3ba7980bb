"""What pricing may know of who buys, gathered before the pure engine runs.

All of it is as of a moment ago and is never believed when an order is placed: the ledger locks what the order
takes and decides.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class BuyerCoupon(Struct, frozen=True, gc=False, array_like=True):
    """A coupon in a buyer's hands. Times are milliseconds since 1970."""

    coupon_id: str
    template_id: str
    # "available", "locked" or "used"; that it has expired is seen from `valid_to_ms`
    status: str
    valid_from_ms: int
    valid_to_ms: int


class Buyer(Struct, frozen=True, gc=False, eq=False):
    """What a buyer holds. `Buyer()` is somebody who has not logged in."""

    # by coupon id
    coupons: Mapping[str, BuyerCoupon] = {}


ANONYMOUS = Buyer()
