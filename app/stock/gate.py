"""The stock gate: who may try the ledger at all.

Enters a reservation per shop of an order, leaves a verdict; those that wait together share one script call a
shop. A pool that the gate does not hold is loaded from the ledger, never taken for zero or for infinite. The
gate only answers sooner: the ledger refuses what the gate wrongly let through, and without Valkey the ledger
decides alone.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Collection, Sequence
from operator import attrgetter

from app.lib import metrics
from app.lib.gate import asking, loading, try_scripts
from app.lib.postgres import Pool
from app.lib.sql import load
from app.lib.valkey import Call, Valkey
from app.stock.scripts import (
    DOWN,
    FLIGHT_TTL_MS,
    LOAD_LIMITS,
    RELEASE_LIMITS,
    RESERVE,
    SETTLE,
    GateReply,
    PoolFact,
    Reservation,
    Verdict,
    load_limits_call,
    release_limits_call,
    reserve_call,
    reserve_replies,
    settle_call,
)

sql = load("stock")

# A pool may be evicted from the gate between being loaded and being asked again; not for ever.
LOADS_MAX = 3


class Gate:
    """Open it with the process, `stop` it with the process."""

    def __init__(self, valkey: Valkey, pool: Pool) -> None:
        self._valkey = valkey
        self._pool = pool
        self._asking = asking(
            valkey,
            RESERVE,
            name="gate",
            key_of=attrgetter("shop_id"),
            call_of=_reserve_call,
            replies_of=reserve_replies,
            down=DOWN,
        )
        self._pools_loading = loading(self._load_pools, name="gate-pools")
        self._limits_loading = loading(self._load_limits, name="gate-limits")

    async def reserve(self, reservation: Reservation) -> GateReply:
        """RESERVED, REPEAT, SOLD_OUT, GONE, LIMIT or DOWN. Raises Unavailable when too many wait."""
        reply = await self._asking.submit(reservation)
        for _ in range(LOADS_MAX):
            if reply.verdict is Verdict.LOAD:
                await self.load([(reservation.shop_id, want.pool_id) for want in reply.wants])
            elif reply.verdict is Verdict.LOAD_LIMITS:
                await self._limits_loading.submit((reservation.shop_id, reservation.activity_id))
            else:
                break
            reply = await self._asking.submit(reservation)
        else:
            reply = DOWN
        metrics.GATE.count(reply.verdict)
        return reply

    async def load(self, pools: Sequence[tuple[str, int]]) -> None:
        """Bring (shop, pool) from the ledger; a pool that the ledger does not know is free of nothing.

        Raises Unavailable when too many wait, and Postgres' errors.
        """
        await asyncio.gather(*[self._pools_loading.submit(each) for each in pools])

    async def _load_pools(self, pools: set[tuple[str, int]]) -> None:
        await self.settle_pools(await read_facts(self._pool, pools))

    async def _load_limits(self, activities: set[tuple[str, str]]) -> None:
        for shop_id, activity_id in activities:
            rows = await self._pool.fetch(sql.read_limits, shop_id, activity_id)
            taken = [(row["sku_id"], row["buyer_id"], row["quantity"]) for row in rows]
            await try_scripts(self._valkey, LOAD_LIMITS, [load_limits_call(shop_id, activity_id, taken)])

    async def settle_pools(self, facts: Sequence[PoolFact]) -> None:
        """Tell the gate what the ledger now says. A gate that is down is corrected by the reconciler."""
        await self.settle({}, facts)

    async def settle(
        self, settled: dict[str, list[tuple[bytes, bool]]], facts: Sequence[PoolFact] = ()
    ) -> None:
        """After a commit: the pools it changed; per shop the reservations, and whether each was placed."""
        facts_of: dict[str, list[PoolFact]] = defaultdict(list)
        for fact in facts:
            facts_of[fact.shop_id].append(fact)
        shop_ids = settled.keys() | facts_of.keys()
        calls = [settle_call(s, facts_of.get(s, ()), settled.get(s, ())) for s in shop_ids]
        await try_scripts(self._valkey, SETTLE, calls)

    async def release_limits(self, returned: Sequence[tuple[str, str, str, str, int]]) -> None:
        """After orders were canceled: (shop, activity, SKU, buyer, quantity)."""
        grouped: dict[tuple[str, str], list[tuple[str, str, int]]] = defaultdict(list)
        for shop_id, activity_id, sku_id, buyer_id, quantity in returned:
            grouped[shop_id, activity_id].append((sku_id, buyer_id, quantity))
        calls = [release_limits_call(*key, each) for key, each in grouped.items()]
        await try_scripts(self._valkey, RELEASE_LIMITS, calls)

    async def stop(self) -> None:
        for batcher in (self._asking, self._pools_loading, self._limits_loading):
            await asyncio.shield(batcher.stop())


async def read_facts(pool: Pool, pools: Collection[tuple[str, int]]) -> list[PoolFact]:
    """What the ledger says of each (shop, pool): of one that it does not know, that nothing is free."""
    rows = await pool.fetch(sql.read_pools, [pool_id for _, pool_id in pools])
    found = {row["pool_id"]: row for row in rows}
    facts = []
    for shop_id, pool_id in pools:
        row = found.get(pool_id)
        free = 0 if row is None or row["closed"] else row["on_hand"] - row["reserved"]
        facts.append(PoolFact(shop_id, pool_id, free, 0 if row is None else row["version"]))
    return facts


def _reserve_call(reservations: Sequence[Reservation]) -> Call:
    """All of one shop."""
    deadline_ms = int(time.time() * 1000) + FLIGHT_TTL_MS
    return reserve_call(reservations[0].shop_id, reservations, deadline_ms)
