"""`GET /coupon/offers`: what can be claimed now, with or without login.

The templates come from the price book, so a change is seen within a second; how many have been given is read
from the ledger for all that are asked about, twice a second at most. A hint, not a promise: claiming decides.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.bootstrap import Services
from app.coupons.admit import why_closed, why_elsewhere
from app.coupons.schemas import OpenOffer
from app.coupons.snapshot import Offer
from app.lib.page import Page, after
from app.lib.postgres import Pool
from app.lib.sql import load
from app.pricing.book import PriceBook
from app.pricing.errors import SkuNotFound

sql = load("coupons")


async def open_offers(
    services: Services,
    buyer_id: str | None,
    shop_id: str | None,
    sku_id: str | None,
    region: str | None,
    cursor: str,
    limit: int,
) -> Page[OpenOffer]:
    """For a shop, for a SKU, or all; with a region without those that are for others alone.

    With a buyer each says whether they may still have one, if they live where it is for.

    Raises SkuNotFound.
    """
    book, now = services.prices.book, services.clock.now()
    found = [each for each in _matching(book, shop_id, sku_id) if why_closed(each.document, now) is None]
    if region is not None:
        found = [each for each in found if why_elsewhere(each.document, region) is None]
    counts = await services.taking.offered.of(frozenset(each.template_id for each in found))
    left = {each.template_id: _left(each, counts[each.template_id]) for each in found}
    shown = [each for each in found if each.template_id > after(cursor) and left[each.template_id] != 0]
    shown.sort(key=lambda offer: offer.template_id)
    page = Page.cut_by_name(shown, limit, lambda offer: offer.template_id)
    held = {} if buyer_id is None else await _held(services.pool, buyer_id, page.items)
    items = [
        _shown(each, left[each.template_id], None if buyer_id is None else held.get(each.template_id, 0))
        for each in page.items
    ]
    return Page(items, page.next_cursor)


def _matching(book: PriceBook, shop_id: str | None, sku_id: str | None) -> Iterable[Offer]:
    """A shop's own offers, and the platform's that are not for other shops only."""
    offers: Iterable[Offer] = book.offers.values()
    if sku_id is not None:
        sku = book.skus.get(sku_id)
        if sku is None:
            raise SkuNotFound(sku_ids=[sku_id])
        offers = [each for each in offers if each.rule.covers(sku)]
    if shop_id is None:
        return offers
    return [
        each
        for each in offers
        if each.document.shop_id in (None, shop_id)
        and (not each.document.scope.shop_ids or shop_id in each.document.scope.shop_ids)
    ]


def _left(offer: Offer, granted_count: int) -> int | None:
    total = offer.document.quantity_total
    return None if total is None else max(total - granted_count, 0)


async def _held(pool: Pool, buyer_id: str, offers: list[Offer]) -> dict[str, int]:
    template_ids = [each.template_id for each in offers]
    rows = await pool.fetch(sql.read_claims, template_ids, [buyer_id] * len(offers))
    return {row["template_id"]: row["quantity"] for row in rows}


def _shown(offer: Offer, left: int | None, held: int | None) -> OpenOffer:
    document = offer.document
    most = document.per_buyer_max
    return OpenOffer(
        template_id=offer.template_id,
        name=document.name,
        shop_id=document.shop_id,
        scope=document.scope,
        condition=document.condition,
        effect=document.effect,
        limits=document.limits,
        valid_from=document.valid_from,
        valid_to=document.valid_to,
        valid_days=document.valid_days,
        claim_to=document.claim_to,
        claim_regions=document.claim_regions,
        per_buyer_max=most,
        left=left,
        can_claim=None if held is None else most is None or held < most,
    )
