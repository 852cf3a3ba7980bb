"""Set and read what points are earned for and what they are worth. An operator's."""

from __future__ import annotations

import msgspec

from app.lib.postgres import Connection, Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.points.documents import PointsRules
from app.pricing.snapshots import PriceSnapshots

sql = load("points")


async def put_points_rules(pool: Pool, prices: PriceSnapshots, rules: PointsRules) -> PointsRules:
    """In force in this process when it returns, in every other within a second."""
    async with transaction(pool) as connection:
        version = await lock_version(connection, "promotions")
        if await connection.fetchval(sql.upsert_points_rules, rules, version) is not None:
            await publish_version(connection, "promotions", version)
    await prices.refresh()
    return rules


async def read_points_rules(connection: Pool | Connection) -> PointsRules:
    """Without any, points are neither earned nor taken."""
    document = await connection.fetchval(sql.read_points_rules)
    return PointsRules() if document is None else msgspec.convert(document, PointsRules)
