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
from collections.abc import Sequence

import structlog
from redis.exceptions import ResponseError

from app.lib import metrics
from app.lib.batching import Batcher
from app.lib.postgres import Pool
from app.lib.sql import load
from app.lib.valkey import GateDown, Valkey
from app.stock.scripts import (
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

log = structlog.get_logger()
sql = load("stock")

# One call with 256 reservations takes Valkey about 2 ms, far below the time limit of a round trip.
PIPELINE_SIZE_MAX = 256
# While one is under way the next grows: a second lane would only make both smaller (docs/performance.md).
PIPELINE_LANES_MAX = 1
# Beyond the committer's own backlog nobody can wait here either.
BACKLOG_MAX = 8_192
# A pool may be evicted from the gate between being loaded and being asked again; not for ever.
LOADS_MAX = 3


class Gate:
    """Open it with the process, `stop` it with the process."""

    def __init__(self, valkey: Valkey, pool: Pool) -> None:
        self._valkey = valkey
        self._pool = pool
        self._batcher: Batcher[Reservation, GateReply] = Batcher(
            self._reserve_many,
            name="gate",
            size_max=PIPELINE_SIZE_MAX,
            lanes_max=PIPELINE_LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )
        # One lane each: after a flush thousands miss the same key, and share one query.
        self._pools_loader: Batcher[tuple[str, int], None] = Batcher(
            self._load_pools,
            name="gate-pools",
            size_max=PIPELINE_SIZE_MAX,
            lanes_max=1,
            backlog_max=BACKLOG_MAX,
        )
        self._limits_loader: Batcher[tuple[str, str], None] = Batcher(
            self._load_limits,
            name="gate-limits",
            size_max=PIPELINE_SIZE_MAX,
            lanes_max=1,
            backlog_max=BACKLOG_MAX,
        )

    async def reserve(self, reservation: Reservation) -> GateReply:
        """RESERVED, REPEAT, SOLD_OUT, GONE, LIMIT or DOWN. Raises Unavailable when too many wait."""
        reply = await self._batcher.submit(reservation)
        for _ in range(LOADS_MAX):
            if reply.verdict is Verdict.LOAD:
                await self.load([(reservation.shop_id, want.pool_id) for want in reply.wants])
            elif reply.verdict is Verdict.LOAD_LIMITS:
                await self._limits_loader.submit((reservation.shop_id, reservation.activity_id))
            else:
                break
            reply = await self._batcher.submit(reservation)
        else:
            reply = GateReply(Verdict.DOWN)
        metrics.GATE.count(reply.verdict)
        return reply

    async def _reserve_many(self, reservations: list[Reservation]) -> list[GateReply]:
        by_shop: dict[str, list[int]] = defaultdict(list)
        for number, reservation in enumerate(reservations):
            by_shop[reservation.shop_id].append(number)
        deadline_ms = int(time.time() * 1000) + FLIGHT_TTL_MS
        parts = [[reservations[number] for number in numbers] for numbers in by_shop.values()]
        calls = [reserve_call(part[0].shop_id, part, deadline_ms) for part in parts]
        replies = [GateReply(Verdict.DOWN)] * len(reservations)
        try:
            raw = await self._valkey.run_scripts(RESERVE, calls)
        except GateDown:
            metrics.GATE_FAILURES.inc()
            return replies
        for part, numbers, answer in zip(parts, by_shop.values(), raw, strict=True):
            if isinstance(answer, ResponseError):  # still loading its data, a broken key: the ledger decides
                metrics.GATE_FAILURES.inc()
                log.warning("gate_script_failed", script="reserve", error=str(answer))
                continue
            for number, reply in zip(numbers, reserve_replies(part, answer), strict=True):
                replies[number] = reply
        return replies

    async def load(self, pools: Sequence[tuple[str, int]]) -> None:
        """Bring (shop, pool) from the ledger; a pool that the ledger does not know is free of nothing.

        Raises Unavailable when too many wait, and Postgres' errors.
        """
        await asyncio.gather(*[self._pools_loader.submit(each) for each in pools])

    async def _load_pools(self, asked: list[tuple[str, int]]) -> list[None]:
        pools = set(asked)
        rows = await self._pool.fetch(sql.read_pools, [pool_id for _, pool_id in pools])
        found = {row["pool_id"]: row for row in rows}
        facts = []
        for shop_id, pool_id in pools:
            row = found.get(pool_id)
            free = 0 if row is None or row["closed"] else row["on_hand"] - row["reserved"]
            facts.append(PoolFact(shop_id, pool_id, free, 0 if row is None else row["version"]))
        await self.settle_pools(facts)
        return [None] * len(asked)

    async def _load_limits(self, asked: list[tuple[str, str]]) -> list[None]:
        for shop_id, activity_id in set(asked):
            rows = await self._pool.fetch(sql.read_limits, shop_id, activity_id)
            taken = [(row["sku_id"], row["buyer_id"], row["quantity"]) for row in rows]
            await self._try(LOAD_LIMITS, [load_limits_call(shop_id, activity_id, taken)])
        return [None] * len(asked)

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
        await self._try(SETTLE, [settle_call(s, facts_of.get(s, ()), settled.get(s, ())) for s in shop_ids])

    async def release_limits(self, returned: Sequence[tuple[str, str, str, str, int]]) -> None:
        """After orders were canceled: (shop, activity, SKU, buyer, quantity)."""
        grouped: dict[tuple[str, str], list[tuple[str, str, int]]] = defaultdict(list)
        for shop_id, activity_id, sku_id, buyer_id, quantity in returned:
            grouped[shop_id, activity_id].append((sku_id, buyer_id, quantity))
        await self._try(RELEASE_LIMITS, [release_limits_call(*key, each) for key, each in grouped.items()])

    async def _try(self, script: object, calls: Sequence[object]) -> None:
        if not calls:
            return
        try:
            replies = await self._valkey.run_scripts(script, calls)  # type: ignore[arg-type]
        except GateDown:
            metrics.GATE_FAILURES.inc()
            return
        for reply in replies:
            if isinstance(reply, BaseException):
                metrics.GATE_FAILURES.inc()
                log.warning("gate_script_failed", error=str(reply))

    async def stop(self) -> None:
        for batcher in (self._batcher, self._pools_loader, self._limits_loader):
            await asyncio.shield(batcher.stop())
