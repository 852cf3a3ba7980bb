"""Set and read a buyer's tags: a member level, a segment. The same tags again change nothing."""

from __future__ import annotations

from app.buyers.schemas import BuyerDocument, KnownBuyer
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("buyers")


async def put_buyer(pool: Pool, buyer_id: str, document: BuyerDocument) -> KnownBuyer:
    tags = sorted(set(document.tags))
    await pool.execute(sql.upsert_buyer, buyer_id, tags)
    return KnownBuyer(buyer_id, tags)


async def read_buyer(pool: Pool, buyer_id: str) -> KnownBuyer:
    """One who was never tagged has no tags: buyers come from the login, not from here."""
    return KnownBuyer(buyer_id, await pool.fetchval(sql.read_tags, buyer_id) or [])
