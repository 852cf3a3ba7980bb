"""Events as they come. Fields that we do not read are kept and ignored: senders add some over time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from app.lib.bounds import PRINTABLE, TOTAL_MINOR_MAX, Currency, Number, Time, in_utc

EventId = Annotated[str, Meta(min_length=1, max_length=128, pattern=PRINTABLE)]
EventType = Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]
Reference = Annotated[str, Meta(max_length=128, pattern=PRINTABLE)]
# Ours, or with the number of the attempt: "1234", "1234-2".
RefundReference = Annotated[str, Meta(pattern=r"^[0-8]?[0-9]{1,18}(-[0-9]{1,3})?$(?!\n)")]
AmountMinor = Annotated[int, Meta(ge=0, le=TOTAL_MINOR_MAX)]
Words = Annotated[str, Meta(max_length=500)]


class InboundEvent(Struct):
    """The envelope; `data` is read by its type."""

    event_id: EventId
    type: EventType
    occurred_at: Time
    data: dict[str, Any]

    def __post_init__(self) -> None:
        self.occurred_at = in_utc(self.occurred_at)


class PaymentNotified(Struct):
    payment_id: Number
    channel: Reference
    status: Literal["authorized", "captured"]
    amount_minor: AmountMinor
    currency: Currency
    psp_reference: Reference | None = None


class PaymentFailed(Struct):
    payment_id: Number
    channel: Reference
    reason: Words | None = None
    psp_reference: Reference | None = None


class RefundNotified(Struct):
    refund_id: RefundReference
    status: Literal["succeeded", "failed"]
    amount_minor: AmountMinor
    currency: Currency
    psp_reference: Reference | None = None
    reason: Words | None = None


class GroupUpdated(Struct):
    """`failed`: the group is to end now; `changed`: it is looked at again."""

    group_id: Number
    status: Literal["failed", "changed"] = "changed"
    reason: Words | None = None


class Received(Struct):
    """What became of it so far: RECEIVED, WAITING, APPLIED, REJECTED or UNKNOWN."""

    event_id: str
    status: str
