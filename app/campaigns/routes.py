"""Campaigns for merchants (their own shop's) and operators."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get, post, put
from litestar.params import JSONBody, QueryParameter

from app.campaigns import draft, end, publish, read, review, sell
from app.campaigns.errors import (
    CampaignItemNotFound,
    CampaignNotFound,
    NotReviewed,
    PricesFrozen,
    SaleOpen,
    SkuOfOtherItem,
    WindowOver,
    WrongStatus,
)
from app.campaigns.schemas import (
    Campaign,
    CampaignDocument,
    Review,
    SetCampaignStock,
    SetSellStatus,
    Withdraw,
)
from app.dependencies import Operator, ServicesDependency, Staff
from app.lib.errors import Conflict, NotFound
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Limit, NumberCursor, PathNumber, QueryId, before
from app.seats.errors import TooFewSeats

Status = Annotated[Literal["DRAFT", "SUBMITTED", "REJECTED", "PUBLISHED", "ENDED"] | None, QueryParameter()]
# 200 items with ids as long as they may be are 90 KB.
CAMPAIGN_BYTES_MAX = 128 << 10
_OF_THE_DOCUMENT = ((NotFound, "item_not_found"), SkuOfOtherItem, WindowOver)


@post("/merchant/campaigns", request_max_body_size=CAMPAIGN_BYTES_MAX, problems=_OF_THE_DOCUMENT)
async def create_campaign(
    data: JSONBody[CampaignDocument], services: ServicesDependency, staff: Staff
) -> Campaign:
    """A draft, for one of the shop's items."""
    return await draft.create(services, staff, data)


@get("/merchant/campaigns")
async def show_own_campaigns(
    services: ServicesDependency,
    staff: Staff,
    status: Status = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: NumberCursor = "",
) -> Page[Campaign]:
    return await read.list_campaigns(services.pool, staff.shop_id, status, before(cursor), limit)


@get("/merchant/campaigns/{campaign_id:str}", problems=(CampaignNotFound,))
async def show_own_campaign(campaign_id: PathNumber, services: ServicesDependency, staff: Staff) -> Campaign:
    return await read.read_campaign(services.pool, staff, int(campaign_id))


@put(
    "/merchant/campaigns/{campaign_id:str}",
    request_max_body_size=CAMPAIGN_BYTES_MAX,
    problems=(*_OF_THE_DOCUMENT, CampaignNotFound, WrongStatus, PricesFrozen),
)
async def change_campaign(
    campaign_id: PathNumber, data: JSONBody[CampaignDocument], services: ServicesDependency, staff: Staff
) -> Campaign:
    """While it is a draft, or was sent back."""
    return await draft.change(services, staff, int(campaign_id), data)


@post(
    "/merchant/campaigns/{campaign_id:str}/submit",
    status_code=200,
    problems=(CampaignNotFound, WrongStatus, WindowOver),
)
async def submit_campaign(campaign_id: PathNumber, services: ServicesDependency, staff: Staff) -> Campaign:
    return await review.submit(services, staff, int(campaign_id))


@put(
    "/merchant/campaign_items/{campaign_item_id:str}/stock",
    problems=(
        CampaignItemNotFound,
        WrongStatus,
        SaleOpen,
        (Conflict, "out_of_stock"),
        (Conflict, "below_reserved"),
        TooFewSeats,
    ),
)
async def set_campaign_stock(
    campaign_item_id: PathNumber, data: JSONBody[SetCampaignStock], services: ServicesDependency, staff: Staff
) -> Campaign:
    """So many units in all, what is sold included; while its sale is closed."""
    return await sell.set_stock(services, staff, int(campaign_item_id), data.total_stock)


@put(
    "/merchant/campaign_items/{campaign_item_id:str}/sell_status",
    problems=(CampaignItemNotFound, WrongStatus),
)
async def set_campaign_sell_status(
    campaign_item_id: PathNumber, data: JSONBody[SetSellStatus], services: ServicesDependency, staff: Staff
) -> Campaign:
    campaign = await sell.set_sell_status(services, staff, int(campaign_item_id), data.sell_status)
    await services.shelf.refresh()
    return campaign


@get("/op/campaigns")
async def show_campaigns(
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - asking for it refuses everybody else
    status: Status = None,
    shop_id: QueryId = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: NumberCursor = "",
) -> Page[Campaign]:
    return await read.list_campaigns(services.pool, shop_id, status, before(cursor), limit)


@get("/op/campaigns/{campaign_id:str}", problems=(CampaignNotFound,))
async def show_campaign(campaign_id: PathNumber, services: ServicesDependency, op: Operator) -> Campaign:
    """With every decision: what, who, when."""
    return await read.read_campaign(services.pool, op, int(campaign_id))


@post(
    "/op/campaigns/{campaign_id:str}/review",
    status_code=200,
    problems=(CampaignNotFound, CampaignItemNotFound, WrongStatus),
)
async def review_campaign(
    campaign_id: PathNumber, data: JSONBody[Review], services: ServicesDependency, op: Operator
) -> Campaign:
    """Item by item, or all that has not passed yet."""
    return await review.review(services, op, int(campaign_id), data)


@post(
    "/op/campaigns/{campaign_id:str}/publish",
    status_code=200,
    problems=(
        CampaignNotFound,
        WrongStatus,
        NotReviewed,
        WindowOver,
        (Conflict, "out_of_stock"),
        TooFewSeats,
    ),
)
async def publish_campaign(campaign_id: PathNumber, services: ServicesDependency, op: Operator) -> Campaign:
    """Its stock is set aside from normal sale. Left alone, it is published when its start comes."""
    campaign = await publish.publish(services, op, int(campaign_id))
    await services.shelf.refresh()
    return campaign


@post("/op/campaigns/{campaign_id:str}/withdraw", status_code=200, problems=(CampaignNotFound, WrongStatus))
async def withdraw_campaign(
    campaign_id: PathNumber, data: JSONBody[Withdraw], services: ServicesDependency, op: Operator
) -> Campaign:
    """End it before its time."""
    campaign = await end.withdraw(services, op, int(campaign_id), data.reason)
    await services.shelf.refresh()
    return campaign


ROUTES = [
    create_campaign,
    show_own_campaigns,
    show_own_campaign,
    change_campaign,
    submit_campaign,
    set_campaign_stock,
    set_campaign_sell_status,
    show_campaigns,
    show_campaign,
    review_campaign,
    publish_campaign,
    withdraw_campaign,
]
