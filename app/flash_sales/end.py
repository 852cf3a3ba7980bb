"""End the flash sales whose time is over: what is free in their pools goes back to normal sale.

What is reserved stays until its order is paid or closed; a release after the end goes to the normal pool.
Each sale is ended in a transaction of its own, once, however many workers try.
"""

from __future__ import annotations

from datetime import datetime

from app.flash_sales.change import NORMAL, LockedPool, pools_by_sku
from app.flash_sales.read import lock_sale
from app.lib.postgres import Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.stock.gate import Gate

sql = load("flash_sale_admin")


async def end_due_flash_sales(pool: Pool, gate: Gate, now: datetime, limit: int) -> int:
    """How many were ended, at most `limit`."""
    due = [row["activity_id"] for row in await pool.fetch(sql.due_sales, now, limit)]
    ended = [await _end(pool, gate, activity_id, now) for activity_id in due]
    return sum(ended)


async def _end(pool: Pool, gate: Gate, activity_id: str, now: datetime) -> bool:
    async with transaction(pool) as connection:
        version = await lock_version(connection, "flash_sales")
        if not await connection.fetchval(sql.end_sale, activity_id, now, version):
            return False
        sale = await lock_sale(connection, activity_id)
        assert sale is not None, "it has just been ended"
        sku_ids = [item.sku_id for item in sale.document.items]
        pools = [LockedPool(**row) for row in await connection.fetch(sql.lock_pools, sku_ids, activity_id)]
        moves = _moves_back(pools, activity_id)
        await connection.execute(sql.move_stock, list(moves), list(moves.values()), activity_id)
        await connection.execute(sql.close_pools, list(pools_by_sku(pools, activity_id).values()))
        await publish_version(connection, "flash_sales", version)
    await gate.load([(each.shop_id, each.pool_id) for each in pools])
    return True


def _moves_back(pools: list[LockedPool], activity_id: str) -> dict[int, int]:
    """By pool id: each of the activity's pools loses what is free, the SKU's normal pool gains it."""
    normal = pools_by_sku(pools, NORMAL)
    moves: dict[int, int] = {}
    for each in pools:
        free = each.on_hand - each.reserved
        if each.activity_id == activity_id and free:
            moves[each.pool_id] = -free
            moves[normal[each.sku_id]] = free
    return moves
