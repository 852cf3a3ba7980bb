"""Put into the tables what a shop has gathered in years: orders, and promotions by the thousand.

By SQL (loadtest/preload.sql), as the service would have left them: the audit finds nothing. Before any API
process starts, so that gate and snapshots are loaded from what is there.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import msgspec

from app.lib.snapshot_version import lock_version, publish_version
from loadtest import rules

SCRIPT = Path(__file__).with_name("preload.sql")


def preload_orders(database_url: str, orders: int) -> None:
    """A million take a few minutes."""
    if orders:
        asyncio.run(_preload(database_url, orders))


def preload_promotions(database_url: str) -> None:
    """Those of loadtest/rules.py; by the admin call they would take a minute."""
    documents = rules.live_promotions() | rules.other_promotions()
    asyncio.run(_preload_promotions(database_url, documents))


async def _preload_promotions(database_url: str, documents: dict[str, rules.Document]) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            version = await lock_version(connection, "promotions")
            rows = [(each, msgspec.json.encode(body).decode(), version) for each, body in documents.items()]
            await connection.executemany(
                "INSERT INTO promotion (promotion_id, document, version) VALUES ($1, $2, $3)", rows
            )
            await publish_version(connection, "promotions", version)
    finally:
        await connection.close()


async def _preload(database_url: str, orders: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('bench.orders', $1, true)", str(orders))
            await connection.execute(SCRIPT.read_text())
    finally:
        await connection.close()
    await _vacuum(database_url)


def vacuum(database_url: str) -> None:
    """Clear up at once what Postgres would clear up by and by, beside whatever is measured then."""
    asyncio.run(_vacuum(database_url))


async def _vacuum(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("VACUUM ANALYZE")
    finally:
        await connection.close()
