"""Replace and list the rates between currencies. They are in force as freight templates are.

An order keeps the rates that it was priced with, so replacing them changes nothing that was placed.
"""

from __future__ import annotations

import msgspec

from app.charges.documents import FxRatesDocument
from app.lib.page import Page
from app.lib.postgres import Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.pricing.snapshots import PriceSnapshots

sql = load("charges")


async def put_fx_rates(pool: Pool, prices: PriceSnapshots, document: FxRatesDocument) -> FxRatesDocument:
    async with transaction(pool) as connection:
        version = await lock_version(connection, "charges")
        if await connection.fetchval(sql.upsert_fx_rates, document.base, document, version):
            await publish_version(connection, "charges", version)
    await prices.refresh()
    return document


async def list_fx_rates(pool: Pool, cursor: str, limit: int) -> Page[FxRatesDocument]:
    rows = await pool.fetch(sql.list_fx_rates, cursor, limit + 1)
    found = [msgspec.convert(row["document"], FxRatesDocument) for row in rows]
    return Page.cut(found, limit, lambda rates: rates.base)
