"""Which offer is shown, and how: the cheapest that still has stock.

Pure. Enters campaigns with what was left of them a moment ago, leaves what buyers see. An offer whose SKU the
catalog has withdrawn is not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from app.pricing.book import PriceBook
from app.showcase.schemas import CampaignOnSale, CampaignWhole, OnOffer, Terms, WaitingGroup
from app.showcase.snapshot import Campaign, Offer

# What fits on a card beside the price; the rest is in the list of groups.
GROUPS_SHOWN = 3


class Availability(Struct, frozen=True, gc=False):
    """Of one campaign: units left by pool (absent: none), and some of its groups that wait."""

    left: Mapping[int | None, int]
    groups: list[WaitingGroup]


NOTHING_LEFT = Availability({}, [])


def cheapest(
    campaigns: Iterable[Campaign], known: Mapping[int, Availability], book: PriceBook, now: datetime
) -> CampaignOnSale | None:
    """The one shown of all that these campaigns offer; None where nothing is left.

    Offers in the shop's own currency come before others, since prices of two currencies do not compare. Of
    two at one price the older campaign's is shown, then the older offer.
    """
    best: tuple[Any, Campaign, Offer] | None = None
    for campaign in campaigns:
        left = known.get(campaign.campaign_id, NOTHING_LEFT).left
        for offer in campaign.offers if campaign.is_open(now) else ():
            if left.get(offer.pool_id) and _is_sold(offer, book):
                rank = _rank(campaign, offer, book)
                if best is None or rank < best[0]:
                    best = rank, campaign, offer
    if best is None:
        return None
    _, campaign, offer = best
    availability = known[campaign.campaign_id]
    return CampaignOnSale(
        **_terms(campaign, book),
        offer=_on_offer(offer, availability, book),
        groups=_joinable(availability, now),
    )


def whole(campaign: Campaign, availability: Availability, book: PriceBook, now: datetime) -> CampaignWhole:
    """The campaign with all that it offers, the cheapest first."""
    is_open = campaign.is_open(now)
    sold = [each for each in campaign.offers if _is_sold(each, book)]
    sold.sort(key=lambda offer: _rank(campaign, offer, book))
    return CampaignWhole(
        **_terms(campaign, book),
        on_sale=is_open,
        offers=[_on_offer(each, availability, book) for each in sold],
        groups=_joinable(availability, now) if is_open else [],
    )


def _is_sold(offer: Offer, book: PriceBook) -> bool:
    return offer.sell_status == "OPEN" and offer.sku_id in book.skus


def _rank(campaign: Campaign, offer: Offer, book: PriceBook) -> tuple[bool, str, int, int, int]:
    foreign = offer.currency != book.shops[campaign.shop_id].currency
    return foreign, offer.currency, offer.sale_price_minor, campaign.campaign_id, offer.campaign_item_id


def _terms(campaign: Campaign, book: PriceBook) -> dict[str, Any]:
    fields = {name: getattr(campaign, name, None) for name in Terms.__struct_fields__}
    title = next(
        (sku.title for each in campaign.offers if (sku := book.skus.get(each.sku_id))), campaign.name
    )
    return fields | {"campaign_id": str(campaign.campaign_id), "title": title}


def _on_offer(offer: Offer, availability: Availability, book: PriceBook) -> OnOffer:
    price = book.skus[offer.sku_id].prices.get(offer.currency)
    return OnOffer(
        str(offer.campaign_item_id),
        offer.sku_id,
        offer.session,
        offer.ticket_category,
        offer.currency,
        offer.sale_price_minor,
        None if price is None else price[0],
        availability.left.get(offer.pool_id, 0),
    )


def _joinable(availability: Availability, now: datetime) -> list[WaitingGroup]:
    """Those that want fewest members first, of these the ones that end first."""
    waiting = [each for each in availability.groups if now < each.ends_at]
    waiting.sort(key=lambda group: (group.places_left, group.ends_at, group.group_id))
    return waiting[:GROUPS_SHOWN]
