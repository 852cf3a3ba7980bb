"""How often buyers have used the rules that have a limit for each buyer, for pricing.

Read from the ledger in batches, and only for carts that meet such a rule. It is as of a moment ago: the
ledger counts again when an order is placed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.lib.batching import Batcher
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("rule_uses")

# One query of 256 buyers; a second lane keeps Postgres busy while the first one's rows are read.
BATCH_SIZE_MAX = 256
LANES_MAX = 2
BACKLOG_MAX = 8_192

# uses by (kind, rule id)
BuyerUses = Mapping[tuple[str, str], int]


class RuleUses:
    """`of` reads, `stop` finishes what was asked."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._batcher: Batcher[str, BuyerUses] = Batcher(
            self._read_batch,
            name="rule_uses",
            size_max=BATCH_SIZE_MAX,
            lanes_max=LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def of(self, buyer_id: str) -> BuyerUses:
        """Raises Unavailable when too many wait, and Postgres' errors."""
        return await self._batcher.submit(buyer_id)

    async def stop(self) -> None:
        await self._batcher.stop()

    async def _read_batch(self, buyer_ids: list[str]) -> Sequence[BuyerUses]:
        uses: dict[str, dict[tuple[str, str], int]] = {buyer_id: {} for buyer_id in buyer_ids}
        for row in await self._pool.fetch(sql.uses_of_buyers, list(uses)):
            uses[row["buyer_id"]][row["kind"], row["rule_id"]] = row["taken"]
        return [uses[buyer_id] for buyer_id in buyer_ids]
