"""The guarded move of orders from state to state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from app.lib.postgres import Connection
from app.lib.sql import load
from app.orders.state import OrderStatus, sources

sql = load("orders")


async def move_orders(
    connection: Connection,
    order_ids: Sequence[int],
    target: OrderStatus,
    *,
    now: datetime,
    reason: str | None = None,
) -> list[asyncpg.Record]:
    """The orders that moved: order_id, parent_id, buyer_id, shop_id, version. The others stay as they are."""
    return await connection.fetch(sql.move_orders, order_ids, target.value, sources(target), now, reason)
