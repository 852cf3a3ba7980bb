"""What clients send and get around paying."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

Word = Annotated[str, Meta(min_length=1, max_length=32, pattern=r"^[a-z0-9_]+$")]
# Schemes that would run in the channel's page are refused; any app's own is fine.
ReturnUrl = Annotated[
    str,
    Meta(max_length=500, pattern=r"^(?!javascript:|data:|vbscript:)[a-z][a-z0-9+.-]*://[\x21-\x7e]+$(?!\n)"),
]


class PaymentRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`return_url`: where the channel's page sends the buyer back to; an address of the web or of an app."""

    channel: Word
    method: Word = "card"
    return_url: ReturnUrl | None = None


class PaymentAction(Struct):
    """What the app does next: `redirect` opens `url`."""

    type: str
    url: str


class PaymentReply(Struct):
    """`action` is null where nothing is to be paid."""

    payment_id: str | None
    status: str
    action: PaymentAction | None


class ChannelOffer(Struct):
    channel: str
    methods: list[str]
    stored_cards: list[str]
    discounts: list[str]


class PayOffer(Struct):
    """How an order can be paid; no channels once it cannot be."""

    order_id: str
    status: str
    currency: str
    payable_minor: int
    pay_deadline: datetime | None
    channels: list[ChannelOffer]


class PaidFromClientReply(Struct):
    """The order as it stands; the app's word changes nothing about it."""

    order_id: str
    status: str
