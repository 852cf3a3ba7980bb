"""A buyer says that the goods have arrived: PENDING_RECEIVING becomes COMPLETED. Saying it twice is once."""

from __future__ import annotations

from app.bootstrap import Services
from app.lib import outbox
from app.lib.ids import parse_id
from app.lib.postgres import transaction
from app.lib.sql import load
from app.orders.errors import OrderNotFound, ReceiptNotConfirmable
from app.orders.move import move_orders
from app.orders.state import OrderStatus

sql = load("orders")


async def confirm_receipt(services: Services, buyer_id: str, order_id: str) -> None:
    """Raises OrderNotFound, ReceiptNotConfirmable."""
    now, number = services.clock.now(), parse_id(order_id)
    async with transaction(services.pool) as connection:
        order = await connection.fetchrow(sql.lock_order, number)
        if order is None or order["buyer_id"] != buyer_id:
            raise OrderNotFound()
        if order["status"] == OrderStatus.COMPLETED:
            return
        moved = await move_orders(connection, [number], OrderStatus.COMPLETED, now=now)
        if not moved:
            raise ReceiptNotConfirmable(f"the order is {order['status']}", order_status=order["status"])
        payload = {"order_id": order_id, "buyer_id": buyer_id, "shop_id": order["shop_id"]}
        await outbox.append(
            connection, [outbox.Event("order.completed", number, moved[0]["version"], payload)]
        )
