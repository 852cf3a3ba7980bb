"""Campaigns as merchants send them and as merchants and operators see them.

Amounts are minor units of the item's `currency`, times UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr

from app.catalog.documents import check_currency
from app.lib.bounds import (
    ON_HAND_MAX,
    PRINTABLE,
    AmountMinor,
    Currency,
    Id,
    Name,
    Number,
    Quantity,
    Time,
    in_utc,
)

# SKUs of one item: sizes and colours, or the sessions and ticket categories of a show.
ITEMS_MAX = 200
# A group of more members is a promotion for everybody.
ORDERS_TO_SUCCEED_MAX = 1_000
# Shorter than a payment takes, or longer than anybody waits for friends.
GROUP_OPEN_MIN_S = 300
GROUP_OPEN_MAX_S = 30 * 86_400

StockPolicy = Literal["last_member", "each_member", "on_success"]
Reason = Annotated[str, Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
Stock = Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]


class CampaignItemDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """A SKU of the campaign's item; for shows with its session and ticket category."""

    sku_id: Id
    currency: Currency
    sale_price_minor: AmountMinor
    # what the merchant gets for one
    settlement_price_minor: AmountMinor
    total_stock: Stock
    session: Id | None = None
    ticket_category: Id | None = None

    def __post_init__(self) -> None:
        check_currency(self.currency)

    @property
    def prices(self) -> tuple[str, int, int]:
        """What is frozen once it has passed."""
        return self.currency, self.sale_price_minor, self.settlement_price_minor


class CampaignDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """A campaign for one item, on sale from `starts_at` until just before `ends_at`."""

    item_id: Id
    name: Name
    starts_at: Time
    ends_at: Time
    orders_to_succeed: Annotated[int, Meta(ge=2, le=ORDERS_TO_SUCCEED_MAX)]
    group_open_s: Annotated[int, Meta(ge=GROUP_OPEN_MIN_S, le=GROUP_OPEN_MAX_S)]
    items: Annotated[list[CampaignItemDocument], Meta(min_length=1, max_length=ITEMS_MAX)]
    # found by everyone; otherwise by those who have its link
    listed: bool = True
    # units that a buyer may take of the campaign, and of one order
    per_buyer_max: Quantity | None = None
    per_order_max: Quantity | None = None
    # groups of the campaign that a buyer may be in at once
    groups_at_once_max: Annotated[int, Meta(ge=1, le=100)] | None = None
    stock_policy: StockPolicy = "last_member"
    # 虚拟成团: a group that is not full at its end succeeds from this share of its members on
    complete_from_bp: Annotated[int, Meta(ge=1, le=10_000)] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "starts_at", in_utc(self.starts_at))
        force_setattr(self, "ends_at", in_utc(self.ends_at))
        if self.starts_at >= self.ends_at:
            raise ValueError("the campaign must end after it starts")
        if len({item.sku_id for item in self.items}) < len(self.items):
            raise ValueError("a SKU is listed twice")


class CampaignItem(Struct, frozen=True):
    """What the campaign sells, what the review says of it, and its stock once it is published."""

    campaign_item_id: str
    sku_id: str
    session: str | None
    ticket_category: str | None
    currency: str
    sale_price_minor: int
    settlement_price_minor: int
    total_stock: int
    audit: Literal["PENDING", "PASSED", "REFUSED"]
    refuse_reason: str | None
    sell_status: Literal["OPEN", "CLOSED"]
    # units of its own stock; 0 before it is published
    on_hand: int
    reserved: int


class Decision(Struct, frozen=True):
    """Who did what and when; `by_role` is `clock` where the time had come."""

    campaign_item_id: str | None
    action: str
    reason: str | None
    by_role: str
    by_id: str
    at: datetime


class Campaign(Struct, frozen=True, kw_only=True):
    """A campaign whole; in lists without its decisions."""

    campaign_id: str
    shop_id: str
    item_id: str
    name: str
    status: Literal["DRAFT", "SUBMITTED", "REJECTED", "PUBLISHED", "ENDED"]
    listed: bool
    starts_at: datetime
    ends_at: datetime
    orders_to_succeed: int
    group_open_s: int
    per_buyer_max: int | None
    per_order_max: int | None
    groups_at_once_max: int | None
    stock_policy: StockPolicy
    complete_from_bp: int | None
    published_at: datetime | None
    ended_at: datetime | None
    version: int
    items: list[CampaignItem]
    decisions: list[Decision] | UnsetType = UNSET


class ItemDecision(Struct, forbid_unknown_fields=True, frozen=True):
    """Of one item: passed, or refused with the reason."""

    campaign_item_id: Number
    passed: bool
    reason: Reason | None = None

    def __post_init__(self) -> None:
        _check_reason(self.passed, self.reason)


class AllDecision(Struct, forbid_unknown_fields=True, frozen=True):
    """Of every item that has not passed yet."""

    passed: bool
    reason: Reason | None = None

    def __post_init__(self) -> None:
        _check_reason(self.passed, self.reason)


class Review(Struct, forbid_unknown_fields=True, frozen=True):
    """Item by item, or all that have not passed yet."""

    decisions: Annotated[list[ItemDecision], Meta(max_length=ITEMS_MAX)] = []
    all: AllDecision | None = None

    def __post_init__(self) -> None:
        if bool(self.decisions) is (self.all is not None):
            raise ValueError("either `decisions` for some items or `all`")


class SetCampaignStock(Struct, forbid_unknown_fields=True, frozen=True):
    total_stock: Stock


class SetSellStatus(Struct, forbid_unknown_fields=True, frozen=True):
    sell_status: Literal["OPEN", "CLOSED"]


class Withdraw(Struct, forbid_unknown_fields=True, frozen=True):
    reason: Reason


def _check_reason(passed: bool, reason: str | None) -> None:
    if not passed and reason is None:
        raise ValueError("a refusal needs its `reason`")
