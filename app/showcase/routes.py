"""Anyone may look at what is on sale by group buying; operators fill the home page's places."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import get, put
from litestar.params import JSONBody, QueryParameter

from app.campaigns.errors import CampaignItemNotFound, CampaignNotFound
from app.dependencies import Operator, ServicesDependency, Visitor
from app.lib.bounds import NUMBER
from app.lib.errors import Unavailable
from app.lib.hot import HotRoute
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Limit, NumberCursor, PathNumber, before
from app.showcase import query, slots
from app.showcase.errors import CampaignNotListed
from app.showcase.schemas import (
    CampaignItemView,
    CampaignOnSale,
    CampaignsFilter,
    CampaignsFound,
    CampaignsQuery,
    CampaignWhole,
    HomePage,
    NoFilter,
    Slots,
    SlotsDocument,
    WaitingGroup,
)

QueryNumber = Annotated[str, QueryParameter(pattern=NUMBER)]


@get("/groupbuy/campaigns/{campaign_id:str}", problems=(CampaignNotFound,))
async def show_campaign_by_link(
    campaign_id: PathNumber,
    services: ServicesDependency,
    visitor: Visitor,  # noqa: ARG001 - asking for it counts the call
) -> CampaignWhole:
    """A published campaign with all that it offers; also one that is in no list."""
    return await query.show_campaign(services.shelf, int(campaign_id))


@get("/groupbuy/groups", problems=(CampaignNotFound,))
async def show_waiting_groups(
    services: ServicesDependency,
    visitor: Visitor,  # noqa: ARG001 - asking for it counts the call
    campaign_id: QueryNumber,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: NumberCursor = "",
) -> Page[WaitingGroup]:
    """Groups of a campaign that wait for members, the newest first; join one by `POST /groupbuy/orders`."""
    return await query.list_groups(services, int(campaign_id), cursor, limit)


@get("/groupbuy/campaign_items/{campaign_item_id:str}", problems=(CampaignItemNotFound,))
async def show_campaign_item(
    campaign_item_id: PathNumber, services: ServicesDependency, visitor: Visitor
) -> CampaignItemView:
    """One offer, with the quantity left; its settlement price for its merchant, operators and services."""
    return await query.show_campaign_item(services, visitor, int(campaign_item_id))


@get("/op/slots")
async def show_slots(
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - asking for it refuses everybody else
) -> Slots:
    """The places as they were last put, with who did that and when."""
    return await slots.read_slots(services.pool)


@put("/op/slots", problems=(CampaignNotFound, CampaignNotListed))
async def put_slots(data: JSONBody[SlotsDocument], services: ServicesDependency, op: Operator) -> Slots:
    """All places at once, in their order; the same again changes nothing."""
    return await slots.put_slots(services, op, data)


@get("/op/slots/changes")
async def show_slots_changes(
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - asking for it refuses everybody else
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: NumberCursor = "",
) -> Page[Slots]:
    """Every document that was put, the newest first."""
    return await slots.list_changes(services.pool, before(cursor), limit)


ROUTES = [
    show_campaign_by_link,
    show_waiting_groups,
    show_campaign_item,
    show_slots,
    put_slots,
    show_slots_changes,
]
_OF_READING = ((Unavailable, "overloaded"), (Unavailable, "stopping"))
HOT_ROUTES: list[HotRoute[Any]] = [
    HotRoute(
        "/groupbuy/campaigns",
        CampaignsFilter,
        Page[CampaignOnSale],
        query.show_campaigns_on_sale,
        method="GET",
        roles=None,
        problems=_OF_READING,
    ),
    HotRoute(
        "/groupbuy/campaigns/query",
        CampaignsQuery,
        CampaignsFound,
        query.query_campaigns,
        roles=None,
        problems=_OF_READING,
    ),
    HotRoute(
        "/groupbuy/slots",
        NoFilter,
        HomePage,
        slots.show_home_page,
        method="GET",
        roles=None,
        problems=_OF_READING,
    ),
]
