"""What the merchant sends to the sandbox provider and gets back.

The merchant's `reference` is the idempotency key of every call: the same reference gives the same answer
and no second effect. Unknown fields, floats and amounts out of bounds are refused.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

Reference = Annotated[str, Meta(min_length=1, max_length=80, pattern=r"^[\x21-\x7e]+$")]
AmountMinor = Annotated[int, Meta(ge=1, le=10**15)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
HttpUrl = Annotated[str, Meta(max_length=500, pattern=r"^https?://[^\s]+$")]

PaymentStatus = Literal["pending", "refused", "authorized", "captured", "canceled"]
OperationStatus = Literal["succeeded", "failed"]
Call = Literal["authorise", "status", "capture", "cancel", "refund"]
FaultKind = Literal[
    "http_500",  # the call fails before anything was done
    "lost_reply",  # the call does its work, then answers too late (after delay_ms)
    "decline",  # the buyer's payment is refused
    "refund_fails",  # the refund is taken, then fails
    "wrong_amount",  # the webhook says one minor unit less
    "wrong_currency",  # the webhook says XXX
    "webhook_late",  # the webhook waits for delay_ms; "authorized" alone late means out of order
    "webhook_twice",  # the webhook is delivered twice
    "webhook_never",  # the webhook is not delivered at all
]


class AuthoriseRequest(Struct, forbid_unknown_fields=True):
    """Opens a payment session; the buyer then pays on the page behind the answer's action."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency
    capture: Literal["automatic", "manual"] = "automatic"
    return_url: Annotated[str, Meta(max_length=500)] | None = None
    notify_url: HttpUrl | None = None  # None: the callback that the process was started with


class OperationRequest(Struct, forbid_unknown_fields=True):
    """A capture or a refund of a part of a payment, or all of it."""

    reference: Reference
    amount_minor: AmountMinor
    currency: Currency


class Action(Struct):
    type: str
    url: str


class Operation(Struct):
    reference: str
    psp_reference: str
    status: OperationStatus
    amount_minor: int
    currency: str


class OperationTaken(Struct):
    """The outcome follows by webhook, as with a real provider."""

    reference: str
    psp_reference: str
    amount_minor: int
    currency: str
    status: Literal["received"] = "received"


class Payment(Struct):
    reference: str
    psp_reference: str
    status: PaymentStatus
    amount_minor: int
    currency: str
    captured_minor: int
    refunded_minor: int
    action: Action
    refunds: list[Operation]


class FaultRequest(Struct, forbid_unknown_fields=True):
    """Misbehave `times` times; for one payment (`reference`) or any, in one call or any.

    For a webhook the call is its status: "authorized", "captured", "failed", "succeeded".
    """

    kind: FaultKind
    call: Annotated[str, Meta(max_length=20)] | None = None
    reference: Reference | None = None
    times: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    delay_ms: Annotated[int, Meta(ge=0, le=600_000)] = 0
