"""What anyone may see of group buying, and the home page's places as operators put them.

Amounts are minor units of the offer's `currency`, times UTC.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr

from app.campaigns.schemas import StockPolicy
from app.lib.bounds import Id, Number, Time, in_utc
from app.lib.page import NAME_CURSOR, PAGE_LIMIT_DEFAULT, PAGE_LIMIT_MAX

# What a screen of cards shows; each id may stand for several campaigns.
ITEM_IDS_MAX = 50
# A home page has a handful of places, with a screen of cards each.
SLOTS_MAX = 20
CAMPAIGNS_OF_SLOT_MAX = 20

PageLimit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT_MAX)]


class CampaignsQuery(Struct, forbid_unknown_fields=True, gc=False):
    """The body of `groupbuy/campaigns/query`."""

    item_ids: Annotated[list[Id], Meta(min_length=1, max_length=ITEM_IDS_MAX)]


class CampaignsFilter(Struct, frozen=True, gc=False):
    """The query of `GET groupbuy/campaigns`."""

    item_id: Id | None = None
    shop_id: Id | None = None
    limit: PageLimit = PAGE_LIMIT_DEFAULT
    cursor: Annotated[str, Meta(pattern=NAME_CURSOR)] = ""


class NoFilter(Struct, frozen=True, gc=False):
    """Of a call that takes nothing."""


class WaitingGroup(Struct, frozen=True, gc=False):
    """A group that wants members: join it with its id, or show its page by its share code."""

    group_id: str
    slots: int
    places_left: int
    started_at: datetime
    ends_at: datetime
    share_code: str


class OnOffer(Struct, frozen=True, gc=False):
    """A SKU at the campaign's price.

    `normal_price_minor`: what it costs without a group, where it has a price in this currency.
    """

    campaign_item_id: str
    sku_id: str
    session: str | None
    ticket_category: str | None
    currency: str
    sale_price_minor: int
    normal_price_minor: int | None
    quantity_left: int


class Terms(Struct, frozen=True, kw_only=True, gc=False):
    """Of a campaign what a buyer should know before.

    `complete_from_bp`: not full at its end, a group succeeds from this share of its members on.
    `stock_policy`: with `on_success`, and with `last_member` in a group that succeeds with fewer, should the
    goods not suffice for all, whoever paid first has them; the others get their money back.
    """

    campaign_id: str
    shop_id: str
    item_id: str
    title: str
    name: str
    starts_at: datetime
    ends_at: datetime
    orders_to_succeed: int
    group_open_s: int
    per_buyer_max: int | None
    per_order_max: int | None
    groups_at_once_max: int | None
    stock_policy: StockPolicy
    complete_from_bp: int | None


class CampaignOnSale(Terms, frozen=True, kw_only=True, gc=False):
    """In lists: with its cheapest offer that has stock, and groups to join, those that want fewest first."""

    offer: OnOffer
    groups: list[WaitingGroup]


class CampaignWhole(Terms, frozen=True, kw_only=True, gc=False):
    """By its link: with all offers whose sale is open, the cheapest first, sold-out ones included."""

    on_sale: bool
    offers: list[OnOffer]
    groups: list[WaitingGroup]


class CampaignsFound(Struct, frozen=True, gc=False):
    """In the order asked for; items that no campaign sells now are left out."""

    items: list[CampaignOnSale]


class CampaignItemView(Struct, frozen=True, kw_only=True, gc=False):
    """One offer. `settlement_price_minor` is there for its merchant, operators and services only."""

    campaign_item_id: str
    campaign_id: str
    shop_id: str
    item_id: str
    sku_id: str
    session: str | None
    ticket_category: str | None
    currency: str
    sale_price_minor: int
    settlement_price_minor: int | UnsetType = UNSET
    quantity_left: int
    # open, published, within its time; it may be sold out all the same
    on_sale: bool
    starts_at: datetime
    ends_at: datetime


class SlotDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """A place on the home page, filled from `starts_at` until just before `ends_at` (null: without end)."""

    name: Id
    campaign_ids: Annotated[list[Number], Meta(max_length=CAMPAIGNS_OF_SLOT_MAX)]
    starts_at: Time | None = None
    ends_at: Time | None = None

    def __post_init__(self) -> None:
        for name in ("starts_at", "ends_at"):
            if (time := getattr(self, name)) is not None:
                force_setattr(self, name, in_utc(time))
        if self.starts_at and self.ends_at and self.starts_at >= self.ends_at:
            raise ValueError("a slot must end after it starts")
        if len(set(map(int, self.campaign_ids))) < len(self.campaign_ids):
            raise ValueError("a campaign is listed twice")

    def is_open(self, now: datetime) -> bool:
        starts_at, ends_at = self.starts_at, self.ends_at
        return (starts_at is None or starts_at <= now) and (ends_at is None or now < ends_at)


class SlotsDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """All places, in their order on the page."""

    slots: Annotated[list[SlotDocument], Meta(max_length=SLOTS_MAX)]

    def __post_init__(self) -> None:
        if len({slot.name for slot in self.slots}) < len(self.slots):
            raise ValueError("a slot is listed twice")


class Slots(Struct, frozen=True):
    """The places as they were put, by whom and when; null where nobody has put any."""

    slots: list[SlotDocument]
    version: str | None
    changed_by: str | None
    changed_at: datetime | None


class HomeSlot(Struct, frozen=True, gc=False):
    """A place with what it shows now, in the operator's order."""

    name: str
    ends_at: datetime | None
    campaigns: list[CampaignOnSale]


class HomePage(Struct, frozen=True, gc=False):
    """The places that show something now, in order."""

    slots: list[HomeSlot]
