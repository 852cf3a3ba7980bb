"""Orders over HTTP: the buyer's own, and those that a shop or an operator works on."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.params import QueryParameter

from app.dependencies import Buyer, ServicesDependency, Staff
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Limit, NumberCursor, PathId, QueryId
from app.orders.cancel import cancel
from app.orders.confirm_receipt import confirm_receipt
from app.orders.errors import OrderNotCancelable, OrderNotFound, PartOfParent, ReceiptNotConfirmable
from app.orders.explain import explain_order
from app.orders.read import list_buyer_orders, list_orders, read_buyer_order, read_order
from app.orders.schemas import ListedOrder, OrderDetail, OrderPricing
from app.orders.state import OrderStatus

Statuses = Annotated[list[OrderStatus] | None, QueryParameter(name="status", max_items=len(OrderStatus))]


@get("/shopping/orders")
async def show_buyer_orders(
    services: ServicesDependency,
    buyer: Buyer,
    statuses: Statuses = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: NumberCursor = "",
) -> Page[ListedOrder]:
    """Newest first; `status` may be given several times."""
    return await list_buyer_orders(services.pool, buyer.sub, statuses, cursor, limit)


@get("/shopping/orders/{order_id:str}", problems=(OrderNotFound,))
async def show_buyer_order(order_id: PathId, services: ServicesDependency, buyer: Buyer) -> OrderDetail:
    return await read_buyer_order(services.pool, buyer.sub, order_id)


@post(
    "/shopping/orders/{order_id:str}/cancel",
    status_code=200,
    problems=(OrderNotFound, OrderNotCancelable, PartOfParent),
)
async def cancel_order(order_id: PathId, services: ServicesDependency, buyer: Buyer) -> OrderDetail:
    """Unpaid orders only; one that was split by shop is canceled whole, under the parent's id."""
    await cancel(services, buyer.sub, order_id)
    return await read_buyer_order(services.pool, buyer.sub, order_id)


@post(
    "/shopping/orders/{order_id:str}/confirm_receipt",
    status_code=200,
    problems=(OrderNotFound, ReceiptNotConfirmable),
)
async def confirm_order_receipt(order_id: PathId, services: ServicesDependency, buyer: Buyer) -> OrderDetail:
    await confirm_receipt(services, buyer.sub, order_id)
    return await read_buyer_order(services.pool, buyer.sub, order_id)


@get("/admin/orders")
async def show_orders(
    services: ServicesDependency,
    staff: Staff,
    shop_id: QueryId = None,
    buyer_id: QueryId = None,
    statuses: Statuses = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: NumberCursor = "",
) -> Page[ListedOrder]:
    """Newest first, one entry a shop; a merchant sees its own shop's, whatever it asks for."""
    return await list_orders(services.pool, staff.shop_id or shop_id, buyer_id, statuses, cursor, limit)


@get("/admin/orders/{order_id:str}", problems=(OrderNotFound,))
async def show_order(order_id: PathId, services: ServicesDependency, staff: Staff) -> OrderDetail:
    return await read_order(services.pool, staff, order_id)


@get("/admin/orders/{order_id:str}/pricing", problems=(OrderNotFound,))
async def show_order_pricing(order_id: PathId, services: ServicesDependency, staff: Staff) -> OrderPricing:
    """Each step from the goods to what is to be paid, replayed with the rules as they were then."""
    return await explain_order(services, staff, order_id)


ROUTES = [
    show_buyer_orders,
    show_buyer_order,
    cancel_order,
    confirm_order_receipt,
    show_orders,
    show_order,
    show_order_pricing,
]
