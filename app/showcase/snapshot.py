"""What every process keeps in memory of published campaigns, and how it finds them.

It changes when somebody publishes, withdraws, opens or closes a sale. What is left of the stock and which
groups wait changes with every order: that is kept apart (shelf.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from app.campaigns.schemas import StockPolicy
from app.pricing.group_sales import GroupSale, GroupSales
from app.pricing.rules import milliseconds
from app.showcase.schemas import SlotsDocument


class Offer(Struct, frozen=True, gc=False):
    """A SKU of a campaign, at the price for groups."""

    campaign_item_id: int
    sku_id: str
    session: str | None
    ticket_category: str | None
    currency: str
    sale_price_minor: int
    settlement_price_minor: int
    sell_status: Literal["OPEN", "CLOSED"]
    # None before it was published
    pool_id: int | None


class Campaign(Struct, frozen=True, gc=False, eq=False):
    """A campaign as it was read, with all that it sells."""

    campaign_id: int
    shop_id: str
    item_id: str
    name: str
    status: str
    listed: bool
    starts_at: datetime
    ends_at: datetime
    published_at: datetime | None
    orders_to_succeed: int
    group_open_s: int
    per_buyer_max: int | None
    per_order_max: int | None
    groups_at_once_max: int | None
    stock_policy: StockPolicy
    complete_from_bp: int | None
    offers: tuple[Offer, ...]

    def is_open(self, now: datetime) -> bool:
        return self.status == "PUBLISHED" and self.starts_at <= now < self.ends_at

    def offer(self, campaign_item_id: int) -> Offer:
        return next(each for each in self.offers if each.campaign_item_id == campaign_item_id)


class Campaigns(Struct, frozen=True, eq=False):
    """All that are published, and the ways to find them. `Campaigns.of` makes the next one."""

    by_id: Mapping[int, Campaign] = {}
    by_offer: Mapping[int, Campaign] = {}
    # those that everyone may find
    by_item: Mapping[str, tuple[Campaign, ...]] = {}
    # item ids in order; of all shops under None
    items_of_shop: Mapping[str | None, tuple[str, ...]] = {}
    slots: SlotsDocument = SlotsDocument([])

    @staticmethod
    def of(campaigns: Iterable[Campaign], slots: SlotsDocument) -> Campaigns:
        by_item: dict[str, tuple[Campaign, ...]] = {}
        items_of_shop: dict[str | None, set[str]] = defaultdict(set)
        by_id = {each.campaign_id: each for each in campaigns if each.status == "PUBLISHED"}
        for each in by_id.values():
            if each.listed:
                by_item[each.item_id] = (*by_item.get(each.item_id, ()), each)
                items_of_shop[each.shop_id].add(each.item_id)
                items_of_shop[None].add(each.item_id)
        return Campaigns(
            by_id,
            {offer.campaign_item_id: each for each in by_id.values() for offer in each.offers},
            by_item,
            {shop_id: tuple(sorted(item_ids)) for shop_id, item_ids in items_of_shop.items()},
            slots,
        )

    def group_sales(self) -> GroupSales:
        """What a cart is told of them: those that everyone may find, by the SKUs that they sell now."""
        found: dict[str, tuple[GroupSale, ...]] = {}
        for each in self.by_id.values():
            for offer in each.offers if each.listed else ():
                if offer.sell_status == "OPEN":
                    sale = GroupSale(
                        str(each.campaign_id),
                        each.name,
                        offer.currency,
                        milliseconds(each.starts_at),
                        milliseconds(each.ends_at),
                    )
                    found[offer.sku_id] = (*found.get(offer.sku_id, ()), sale)
        return found


def campaign(row: Any) -> Campaign:
    """From a row of the ledger."""
    fields = {name: row[name] for name in Campaign.__struct_fields__ if name != "offers"}
    return Campaign(**fields, offers=msgspec.convert(row["items"] or [], tuple[Offer, ...]))
