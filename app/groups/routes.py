"""Groups: start or join one, see one, see one's own orders."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import get
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter
from litestar.response.base import ASGIResponse
from litestar.types import ASGIApp

from app.addresses.errors import AddressBlocked, AddressInvalid
from app.campaigns.errors import CampaignItemNotFound
from app.checkout.errors import ActivityEnded, OutOfStock, PriceChanged, PurchaseLimitExceeded
from app.dependencies import AnyRequest, Buyer, ServicesDependency
from app.groups import read
from app.groups.errors import (
    AlreadyMember,
    GroupFull,
    GroupNotFound,
    GroupOrderNotFound,
    GroupOver,
    TooManyGroups,
)
from app.groups.place import place_group_order
from app.groups.schemas import Group, GroupOrder, GroupOrderPlaced, GroupOrderRequest
from app.groups.state import GroupOrderStatus
from app.lib.errors import IdempotencyKeyReused, OutcomeUnknown, Unavailable
from app.lib.event_stream import MEDIA_TYPE as EVENTS
from app.lib.event_stream import EventStream
from app.lib.hot import HotRoute
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Limit, NumberCursor, PathNumber

Status = Annotated[GroupOrderStatus | None, QueryParameter()]


@get("/groupbuy/groups/{group_id:str}", problems=(GroupNotFound,))
async def show_group(group_id: PathNumber, services: ServicesDependency) -> Group:
    """Anyone may see a group that was shared: how many are in it, until when it is open, what it sells."""
    now, base_url = services.clock.now(), services.settings.base_url()
    return await read.read_group(services.pool, int(group_id), now, base_url)


@get(
    "/groupbuy/groups/{group_id:str}/stream",
    problems=(GroupNotFound, (Unavailable, "too_many_watchers"), (Unavailable, "stopping")),
    answers=(EVENTS, Group),
    responses={204: ResponseSpec(None, description="The group is over, and `Last-Event-ID` names its end")},
)
async def watch_group(group_id: PathNumber, services: ServicesDependency, request: AnyRequest) -> ASGIApp:
    """Server-sent events `group`, each the whole group: as it is now, then after each change, until its end.

    Their `id` is the group's version; a comment comes every 15 s. Told 204, a browser does not come back.
    """
    watcher = await services.watching.watch(int(group_id), request.headers.get("last-event-id"))
    return ASGIResponse(status_code=204) if watcher is None else EventStream(watcher)


@get("/groupbuy/orders")
async def show_group_orders(
    services: ServicesDependency,
    buyer: Buyer,
    status: Status = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: NumberCursor = "",
) -> Page[GroupOrder]:
    """The buyer's own, the newest first."""
    base_url = services.settings.base_url()
    return await read.list_group_orders(services.pool, buyer.sub, status, cursor, limit, base_url)


@get("/groupbuy/orders/{order_id:str}", problems=(GroupOrderNotFound,))
async def show_group_order(order_id: PathNumber, services: ServicesDependency, buyer: Buyer) -> GroupOrder:
    return await read.read_group_order(services.pool, buyer.sub, int(order_id), services.settings.base_url())


ROUTES = [show_group, watch_group, show_group_orders, show_group_order]
HOT_ROUTES: list[HotRoute[Any]] = [
    HotRoute(
        "/groupbuy/orders",
        GroupOrderRequest,
        GroupOrderPlaced,
        place_group_order,
        status=201,
        problems=(
            CampaignItemNotFound,
            GroupNotFound,
            ActivityEnded,
            PriceChanged,
            PurchaseLimitExceeded,
            TooManyGroups,
            GroupOver,
            GroupFull,
            AlreadyMember,
            OutOfStock,
            AddressInvalid,
            AddressBlocked,
            IdempotencyKeyReused,
            OutcomeUnknown,
            (Unavailable, "overloaded"),
            (Unavailable, "stopping"),
            (Unavailable, "ledger_down"),
        ),
    )
]
