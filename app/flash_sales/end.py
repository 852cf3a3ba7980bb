"""End the flash sales whose time is over: what is free in their pools goes back to normal sale.

What is reserved stays until its order is paid or closed; a release after the end goes to the normal pool.
Each sale is ended in a transaction of its own, once, however many workers try.
"""

from __future__ import annotations

from datetime import datetime

from app.flash_sales.read import lock_sale
from app.lib.each_settled import each_alone
from app.lib.postgres import Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.stock.gate import Gate
from app.stock.set_aside import lock_pools, put_back

sql = load("flash_sale_admin")


async def end_due_flash_sales(pool: Pool, gate: Gate, now: datetime, limit: int) -> int:
    """How many were ended, at most `limit`."""
    due = [row["activity_id"] for row in await pool.fetch(sql.due_sales, now, limit)]
    return await each_alone("end_flash_sales", due, lambda activity_id: _end(pool, gate, activity_id, now))


async def _end(pool: Pool, gate: Gate, activity_id: str, now: datetime) -> bool:
    async with transaction(pool) as connection:
        version = await lock_version(connection, "flash_sales")
        if not await connection.fetchval(sql.end_sale, activity_id, now, version):
            return False
        sale = await lock_sale(connection, activity_id)
        assert sale is not None, "it has just been ended"
        sku_ids = [item.sku_id for item in sale.document.items]
        pools = await lock_pools(connection, activity_id, sku_ids)
        await put_back(connection, activity_id, pools)
        await publish_version(connection, "flash_sales", version)
    await gate.load([(each.shop_id, each.pool_id) for each in pools])
    return True
