"""What the red packet calls take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import AMOUNT_MINOR_MAX, AmountMinor, Currency, Id, Name
from app.lib.money import is_currency

# One transaction sends them all: this many take about half a second.
SEND_USERS_MAX = 10_000

AboveZero = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]


class RedPacketPoolDocument(Struct, frozen=True, forbid_unknown_fields=True):
    """`shop_id` null: the platform's, whose packets are good in every shop.

    `pays_charges`: they pay freight and tax too, and not goods alone.
    """

    name: Name
    currency: Currency
    shop_id: Id | None = None
    pays_charges: bool = False

    def __post_init__(self) -> None:
        if not is_currency(self.currency):
            raise ValueError(f"{self.currency} is not a currency of ISO 4217")


class RedPacketPool(Struct, frozen=True):
    pool_id: str
    name: str
    currency: str
    shop_id: str | None
    balance_minor: int
    pays_charges: bool


class FundPool(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    amount_minor: AboveZero


class SendRedPackets(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A packet of `amount_minor` for each of these buyers, or for none of them."""

    user_ids: Annotated[list[Id], Meta(min_length=1, max_length=SEND_USERS_MAX)]
    amount_minor: AboveZero
    # what must be left to pay of the goods when it is the packet's turn
    min_amount_minor: AmountMinor = 0
    valid_days: Annotated[int, Meta(ge=1, le=365)] = 7

    def __post_init__(self) -> None:
        if len(set(self.user_ids)) < len(self.user_ids):
            raise ValueError("a buyer is named twice: one call sends each one packet")


class SentRedPacket(Struct, frozen=True):
    user_id: str
    packet_id: str


class SentRedPackets(Struct, frozen=True):
    packets: list[SentRedPacket]
    expires_at: datetime
    # what is left in the pool
    balance_minor: int


class RedPacket(Struct, frozen=True):
    """A buyer's packet. `status` is available, locked, used or expired."""

    packet_id: str
    name: str
    shop_id: str | None
    currency: str
    amount_minor: int
    min_amount_minor: int
    status: str
    expires_at: datetime
    pays_charges: bool
