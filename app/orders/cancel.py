"""A buyer cancels an unpaid order, whole.

An order that was split by shop is canceled under the parent's id: canceling one child would silently take the
others with it, so a child is refused by name. Canceling twice is answered as once. What is open at a channel
is voided after the commit; money that comes all the same goes back.
"""

from __future__ import annotations

from app.bootstrap import Services
from app.lib.ids import parse_id
from app.lib.postgres import transaction
from app.lib.sql import load
from app.orders.errors import OrderNotCancelable, OrderNotFound, PartOfParent
from app.orders.release import release_orders, tell
from app.orders.state import OrderStatus
from app.payments.poll import ask_soon

sql = load("orders")

BY_BUYER = "canceled_by_buyer"


async def cancel(services: Services, buyer_id: str, order_id: str) -> None:
    """Raises OrderNotFound, PartOfParent, OrderNotCancelable."""
    number = parse_id(order_id)
    order = await services.pool.fetchrow(sql.read_order, number)
    if order is None or order["buyer_id"] != buyer_id:
        raise OrderNotFound()
    if order["parent_id"] is not None and not order["parent_paid"]:
        raise PartOfParent("cancel the order that it is part of", parent_id=str(order["parent_id"]))
    async with transaction(services.pool) as connection:
        released = await release_orders(connection, [number], now=services.clock.now(), reason=BY_BUYER)
    if not released.root_ids:
        status = await services.pool.fetchval(sql.read_status, number)
        if status != OrderStatus.CANCELED:
            raise OrderNotCancelable(f"the order is {status}", order_status=status)
    await tell(services, released)
    await ask_soon(services, released.root_ids, services.clock.now())
