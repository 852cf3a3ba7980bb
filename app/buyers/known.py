"""What rules ask about buyers, for pricing: tags, and whether this would be the first order.

Read from the ledger in batches, and only for carts that meet a rule or a price that asks. It is as of a
moment ago: that an order is the first is decided again when it is placed.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.lib.batching import Batcher
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("buyers")

# One query of 256 buyers; a second lane keeps Postgres busy while the first one's rows are read.
BATCH_SIZE_MAX = 256
LANES_MAX = 2
BACKLOG_MAX = 8_192


class Standing(Struct, frozen=True, gc=False):
    tags: frozenset[str]
    is_first_order: bool


class Buyers:
    """`of` reads, `stop` finishes what was asked."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._batcher: Batcher[str, Standing] = Batcher(
            self._read_batch,
            name="buyers",
            size_max=BATCH_SIZE_MAX,
            lanes_max=LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def of(self, buyer_id: str) -> Standing:
        """Raises Unavailable when too many wait, and Postgres' errors."""
        return await self._batcher.submit(buyer_id)

    async def stop(self) -> None:
        await self._batcher.stop()

    async def _read_batch(self, buyer_ids: list[str]) -> Sequence[Standing]:
        rows = await self._pool.fetch(sql.standing_of_buyers, list(set(buyer_ids)))
        found = {row["buyer_id"]: Standing(frozenset(row["tags"]), not row["has_ordered"]) for row in rows}
        return [found[buyer_id] for buyer_id in buyer_ids]
