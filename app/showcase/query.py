"""What is on sale: by item, by many items, by shop, by link; and one offer with what its merchant gets.

From memory, no older than a second (shelf.py); the ledger decides when somebody orders. Of an item one offer
is shown: the cheapest of all its campaigns that still has stock. What is by link only is in no list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import UNSET
from msgspec.json import Encoder

from app.campaigns.errors import CampaignItemNotFound, CampaignNotFound
from app.lib.auth import Caller
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer
from app.lib.page import Page, after
from app.lib.parameters import before
from app.showcase.schemas import (
    CampaignItemView,
    CampaignOnSale,
    CampaignsFilter,
    CampaignsFound,
    CampaignsQuery,
    CampaignWhole,
    WaitingGroup,
)
from app.showcase.shelf import Shelf
from app.showcase.snapshot import Campaign, campaign
from app.showcase.waiting import Wanted, sql

if TYPE_CHECKING:
    from app.bootstrap import Services

# Items looked at together while a page is filled: some of them are sold out, or have not begun.
LOOK_AT = 100
_encode = Encoder().encode


async def query_campaigns(services: Services, request: HotRequest[CampaignsQuery]) -> Answer:
    """What is shown of many items, in the order asked for."""
    item_ids = dict.fromkeys(request.body.item_ids)
    return Answer(200, _encode(CampaignsFound(await services.shelf.of_items(item_ids))))


async def show_campaigns_on_sale(services: Services, request: HotRequest[CampaignsFilter]) -> Answer:
    """Each item once, with the cheapest offer of its campaigns that still has stock; ordered by item id."""
    wanted, shelf = request.body, services.shelf
    item_ids = shelf.campaigns.items_of_shop.get(wanted.shop_id, ())
    if wanted.item_id is not None:
        item_ids = (wanted.item_id,) if _contains(item_ids, wanted.item_id) else ()
    found: list[CampaignOnSale] = []
    for start in range(bisect_right(item_ids, after(wanted.cursor)), len(item_ids), LOOK_AT):
        found += await shelf.of_items(item_ids[start : start + LOOK_AT])
        if len(found) > wanted.limit:
            break
    return Answer(200, _encode(Page.cut_by_name(found, wanted.limit, lambda shown: shown.item_id)))


def _contains(ordered: Sequence[str], wanted: str) -> bool:
    place = bisect_left(ordered, wanted)
    return place < len(ordered) and ordered[place] == wanted


async def show_campaign(shelf: Shelf, campaign_id: int) -> CampaignWhole:
    """By its link, also before its start. Raises CampaignNotFound."""
    if (found := shelf.campaigns.by_id.get(campaign_id)) is None:
        raise CampaignNotFound()
    return await shelf.whole(found)


async def list_groups(services: Services, campaign_id: int, cursor: str, limit: int) -> Page[WaitingGroup]:
    """That wait for members, the newest first. Raises CampaignNotFound."""
    if (found := services.shelf.campaigns.by_id.get(campaign_id)) is None:
        raise CampaignNotFound()
    if not found.is_open(services.clock.now()):
        return Page([], None)
    groups = await services.shelf.waiting(Wanted(campaign_id, before(cursor), limit + 1))
    return Page.cut(groups, limit, lambda group: group.group_id)


async def show_campaign_item(
    services: Services, visitor: Caller | None, campaign_item_id: int
) -> CampaignItemView:
    """Anyone may see what has been published; who settles it sees it at any time, and its settlement price.

    Raises CampaignItemNotFound.
    """
    shelf = services.shelf
    found = shelf.campaigns.by_offer.get(campaign_item_id) or await _read(services, campaign_item_id)
    settles = found is not None and _settles(visitor, found)
    if found is None or not (settles or found.published_at):
        raise CampaignItemNotFound()
    offer = found.offer(campaign_item_id)
    return CampaignItemView(
        campaign_item_id=str(campaign_item_id),
        campaign_id=str(found.campaign_id),
        shop_id=found.shop_id,
        item_id=found.item_id,
        sku_id=offer.sku_id,
        session=offer.session,
        ticket_category=offer.ticket_category,
        currency=offer.currency,
        sale_price_minor=offer.sale_price_minor,
        settlement_price_minor=offer.settlement_price_minor if settles else UNSET,
        quantity_left=await shelf.quantity_left(found, offer),
        on_sale=offer.sell_status == "OPEN" and found.is_open(services.clock.now()),
        starts_at=found.starts_at,
        ends_at=found.ends_at,
    )


def _settles(visitor: Caller | None, found: Campaign) -> bool:
    if visitor is None:
        return False
    return visitor.role in ("op", "service") or (
        visitor.role == "merchant" and visitor.shop_id == found.shop_id
    )


async def _read(services: Services, campaign_item_id: int) -> Campaign | None:
    """One that is not published: a draft, or over."""
    campaign_id = await services.pool.fetchval(sql.campaign_of_item, campaign_item_id)
    rows = await services.pool.fetch(sql.read_campaigns, [campaign_id])
    return campaign(rows[0]) if rows else None
