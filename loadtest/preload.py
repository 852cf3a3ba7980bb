"""Put a given number of paid orders into the tables, as if the shop had sold them before.

By one SQL script (loadtest/preload.sql), as the service would have left them: the audit finds nothing.
Before any API process starts, so that the gate is loaded from what is there.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

SCRIPT = Path(__file__).with_name("preload.sql")


def preload_orders(database_url: str, orders: int) -> None:
    """A million take a few minutes."""
    if orders:
        asyncio.run(_preload(database_url, orders))


async def _preload(database_url: str, orders: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('bench.orders', $1, true)", str(orders))
            await connection.execute(SCRIPT.read_text())
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
