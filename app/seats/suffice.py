"""Is there a seat for everything that is on sale? Asked before more is put on sale, and before seats go."""

from __future__ import annotations

from collections.abc import Collection

from app.lib.postgres import Connection
from app.lib.sql import load
from app.seats.errors import TooFewSeats

sql = load("seats")


async def require_seats(connection: Connection, sku_ids: Collection[str]) -> None:
    """Inside the transaction that has changed the SKUs' stock, after it. Raises TooFewSeats.

    Every unit that a campaign of a seated SKU may still sell has a free seat from then on: a sale takes both,
    a refund brings both back.
    """
    if await connection.fetch(sql.lock_maps, list(sku_ids)):
        short = await connection.fetch(sql.short_maps, list(sku_ids))
        if short:
            says = "; ".join(f"{row['sku_id']}: {row['free']} for {row['on_sale']}" for row in short)
            raise TooFewSeats(says, sku_ids=[row["sku_id"] for row in short])
