"""What is probably free in a pool: for `available` and `max_quantity` of a summary, never for a decision.

Reading a hint is a look into a dict. The pools that were asked for are read again from the ledger, all
together, twice a second; one that nobody has asked for yet is unknown, and `learn` reads it at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from app.lib.kept_fresh import KeptFresh
from app.lib.postgres import Pool
from app.stock.gate import sql

# Half of the second within which a sold-out item should look sold out in the app.
REFRESH_S = 0.5
# How long a pool is kept warm after somebody has asked for it: a catalog is browsed more slowly than twice a
# second each SKU, and asking for what is not warm costs the buyer a round trip to the ledger.
KEEP_S = 10.0
# Pools kept warm; when more are asked for, all are forgotten and learned anew. 20,000 are about 2 MB, and
# reading them again takes Postgres some 20 ms.
POOLS_MAX = 20_000


class Hints:
    """`start` begins to refresh, `stop` ends it."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._free: dict[int, int] = {}
        self._asked: dict[int, float] = {}
        self._learning = asyncio.Lock()
        self._next_read: asyncio.Task[None] | None = None
        self._fresh = KeptFresh(self._refresh, name="stock-hints", period_s=REFRESH_S)
        self.unknown: set[int] = set()

    def get(self, pool_id: int) -> int | None:
        """Units free a moment ago; None, and noted in `unknown`, when nobody has asked before."""
        free = self._free.get(pool_id)
        if free is None:
            self.unknown.add(pool_id)
        else:
            self._asked[pool_id] = time.monotonic()
        return free

    def note_gone(self, pool_ids: Iterable[int]) -> None:
        """An order has just found too little there; holds until the next reading."""
        self._free |= dict.fromkeys(pool_ids, 0)

    async def learn(self) -> None:
        """Read the unknown pools now, or wait for whoever does. Raises Postgres' errors."""
        if self._next_read is None:
            self._next_read = asyncio.create_task(self._read_unknown(), name="stock-hints-learn")
        await asyncio.shield(self._next_read)

    async def _read_unknown(self) -> None:
        async with self._learning:
            self._next_read = None  # who finds something unknown from here on waits for the one after
            unknown, self.unknown = self.unknown, set()
            if len(self._free) + len(unknown) > POOLS_MAX:
                self._free.clear()
            if unknown:
                await self._read(unknown)

    async def _read(self, pool_ids: set[int]) -> None:
        found = dict.fromkeys(pool_ids, 0)
        for pool_id, on_hand, reserved, _, closed in await self._pool.fetch(sql.read_pools, list(pool_ids)):
            found[pool_id] = 0 if closed else on_hand - reserved
        self._free |= found

    async def start(self) -> None:
        self._fresh.start()

    async def _refresh(self) -> None:
        oldest = time.monotonic() - KEEP_S
        self._asked = {pool_id: at for pool_id, at in self._asked.items() if at > oldest}
        # The others would grow stale: unknown again.
        self._free = {pool_id: free for pool_id, free in self._free.items() if pool_id in self._asked}
        if self._asked:
            await self._read(set(self._asked))

    async def stop(self) -> None:
        await self._fresh.stop()
