"""The two machines of paying: what is due for an order, and one attempt at one channel.

A guarded UPDATE moves a row only from a state that the table allows (`sources`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class PayOrderStatus(StrEnum):
    """One payment that is due for an order."""

    UNPAID = "UNPAID"
    AUTHORIZED = "AUTHORIZED"
    PAID = "PAID"
    PART_REFUNDED = "PART_REFUNDED"
    REFUNDED = "REFUNDED"
    CLOSED = "CLOSED"


PAY_ORDER_TRANSITIONS: Mapping[PayOrderStatus, frozenset[PayOrderStatus]] = {
    PayOrderStatus.UNPAID: frozenset(
        {PayOrderStatus.AUTHORIZED, PayOrderStatus.PAID, PayOrderStatus.CLOSED},
    ),
    # back to UNPAID: the authorization was given up before any money was taken
    PayOrderStatus.AUTHORIZED: frozenset(
        {PayOrderStatus.PAID, PayOrderStatus.UNPAID, PayOrderStatus.CLOSED},
    ),
    PayOrderStatus.PAID: frozenset({PayOrderStatus.PART_REFUNDED, PayOrderStatus.REFUNDED}),
    PayOrderStatus.PART_REFUNDED: frozenset({PayOrderStatus.REFUNDED}),
    PayOrderStatus.REFUNDED: frozenset(),
    # of a group order whose late money counts for it after all
    PayOrderStatus.CLOSED: frozenset({PayOrderStatus.UNPAID}),
}


class PaymentStatus(StrEnum):
    """One attempt at one channel."""

    CREATED = "CREATED"
    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    CAPTURED = "CAPTURED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"


# Captured money is a fact, whatever we believed before: a declined buyer tried again, a canceled attempt had
# been paid a moment earlier. Only CAPTURED is final.
PAYMENT_TRANSITIONS: Mapping[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.CREATED: frozenset(
        {
            PaymentStatus.PENDING,
            PaymentStatus.AUTHORIZED,
            PaymentStatus.CAPTURED,
            PaymentStatus.FAILED,
            PaymentStatus.CANCELED,
        }
    ),
    PaymentStatus.PENDING: frozenset(
        {
            PaymentStatus.AUTHORIZED,
            PaymentStatus.CAPTURED,
            PaymentStatus.FAILED,
            PaymentStatus.CANCELED,
        }
    ),
    PaymentStatus.AUTHORIZED: frozenset({PaymentStatus.CAPTURED, PaymentStatus.CANCELED}),
    PaymentStatus.FAILED: frozenset(
        {PaymentStatus.AUTHORIZED, PaymentStatus.CAPTURED, PaymentStatus.CANCELED}
    ),
    PaymentStatus.CANCELED: frozenset({PaymentStatus.CAPTURED}),
    PaymentStatus.CAPTURED: frozenset(),
}


def sources(target: PayOrderStatus | PaymentStatus) -> list[str]:
    """The states from which `target` may be reached."""
    table: Mapping[object, frozenset[object]] = (
        PAY_ORDER_TRANSITIONS if isinstance(target, PayOrderStatus) else PAYMENT_TRANSITIONS  # type: ignore[assignment]
    )
    return [str(source) for source, targets in table.items() if target in targets]
