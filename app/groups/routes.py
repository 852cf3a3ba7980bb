"""Groups: start or join one, see one, see one's own orders."""

from __future__ import annotations

from typing import Any

from litestar import get

from app.addresses.errors import AddressBlocked, AddressInvalid
from app.campaigns.errors import CampaignItemNotFound
from app.checkout.errors import ActivityEnded, OutOfStock, PriceChanged, PurchaseLimitExceeded
from app.dependencies import Buyer, ServicesDependency
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
from app.lib.errors import IdempotencyKeyReused, OutcomeUnknown, Unavailable
from app.lib.hot import HotRoute
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Limit, NumberCursor, PathNumber


@get("/groupbuy/groups/{group_id:str}", problems=(GroupNotFound,))
async def show_group(group_id: PathNumber, services: ServicesDependency) -> Group:
    """Anyone may see a group that was shared: how many are in it, until when it is open."""
    return await read.read_group(services.pool, int(group_id))


@get("/groupbuy/orders")
async def show_group_orders(
    services: ServicesDependency, buyer: Buyer, limit: Limit = PAGE_LIMIT_DEFAULT, cursor: NumberCursor = ""
) -> Page[GroupOrder]:
    """The buyer's own, the newest first."""
    return await read.list_group_orders(services.pool, buyer.sub, cursor, limit)


@get("/groupbuy/orders/{order_id:str}", problems=(GroupOrderNotFound,))
async def show_group_order(order_id: PathNumber, services: ServicesDependency, buyer: Buyer) -> GroupOrder:
    return await read.read_group_order(services.pool, buyer.sub, int(order_id))


ROUTES = [show_group, show_group_orders, show_group_order]
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
