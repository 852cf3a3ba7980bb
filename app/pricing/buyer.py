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


class GiftCard(Struct, frozen=True, gc=False):
    """A card whose code the cart names."""

    card_id: str
    currency: str
    balance_minor: int
    ends_at_ms: int
    # freight and tax too, and not only goods
    pays_charges: bool = True


class RedPacket(Struct, frozen=True, gc=False):
    """The buyer's packet that the cart names. `shop_id` None: good in every shop."""

    packet_id: str
    name: str
    shop_id: str | None
    currency: str
    amount_minor: int
    min_amount_minor: int
    # "available", "locked", "used" or "expired"
    status: str
    ends_at_ms: int
    pays_charges: bool = False


class Purse(Struct, frozen=True, gc=False, eq=False):
    """Of what a cart asks for, what the buyer can pay with."""

    points: int = 0
    # by code
    gift_cards: Mapping[str, GiftCard] = {}
    red_packet: RedPacket | None = None


EMPTY_PURSE = Purse()


class Buyer(Struct, frozen=True, gc=False, eq=False):
    """What a buyer holds. `Buyer()` is somebody who has not logged in."""

    # by coupon id
    coupons: Mapping[str, BuyerCoupon] = {}
    purse: Purse = EMPTY_PURSE
    # where the cart goes: "CN-SH", or "SG" where a country has no parts; None: no address yet
    region: str | None = None
    # what the app says that it is: "ios", "mini_program"; None: it does not say
    channel: str | None = None
    tags: frozenset[str] = frozenset()
    is_first_order: bool = False
    # how often, by kind and id, of rules with a limit for each buyer
    rule_uses: Mapping[tuple[str, str], int] = {}


ANONYMOUS = Buyer()
