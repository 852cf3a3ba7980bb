"""The gate before a group's slots: who may try the ledger at all. As the coupons' gate (app/coupons/gate.py).

Claims that wait together share one script call a group. A group that the gate does not hold is loaded from
the ledger with its members, never taken for empty or full. The gate only answers sooner: the ledger refuses
what the gate wrongly let through, and without Valkey, or for a group that is not there, it decides alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import structlog
from msgspec import Struct
from redis.exceptions import ResponseError

from app.groups.scripts import (
    CLAIM,
    DOWN,
    TELL,
    Asked,
    GateReply,
    SlotFacts,
    Verdict,
    claim_call,
    claim_replies,
    tell_call,
    to_ms,
)
from app.lib import metrics
from app.lib.batching import Batcher
from app.lib.clock import Clock
from app.lib.errors import Unavailable
from app.lib.postgres import TRANSIENT_ERRORS, Pool
from app.lib.sql import load
from app.lib.valkey import Call, GateDown, Valkey

log = structlog.get_logger()
sql = load("groups")

# As the stock's gate: one call with so many takes Valkey about a millisecond, far below its time limit.
PIPELINE_SIZE_MAX = 256
PIPELINE_LANES_MAX = 1
BACKLOG_MAX = 8_192
# Groups read and told at a time: some 20 ms of Postgres.
GROUPS_AT_A_TIME = 1_000
# The ledger is away, or too many wait for it.
TELL_ERRORS: tuple[type[Exception], ...] = (*TRANSIENT_ERRORS, Unavailable)


class Claim(Struct, frozen=True, eq=False):
    """Somebody who asks for a slot of a group."""

    group_id: int
    asked: Asked


class SlotGate:
    """Open it with the process, `stop` it with the process."""

    def __init__(self, valkey: Valkey, pool: Pool, clock: Clock) -> None:
        self._valkey, self._pool, self._clock = valkey, pool, clock
        self._batcher: Batcher[Claim, GateReply] = Batcher(
            self._claim_many,
            name="slot-gate",
            size_max=PIPELINE_SIZE_MAX,
            lanes_max=PIPELINE_LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )
        # One lane: after a flush thousands miss the same group, and share one query.
        self._loader: Batcher[int, None] = Batcher(
            self._load_many,
            name="slot-gate-load",
            size_max=PIPELINE_SIZE_MAX,
            lanes_max=1,
            backlog_max=BACKLOG_MAX,
        )

    async def claim(self, claim: Claim) -> GateReply:
        """CLAIMED, REPEAT, FULL, OVER, MEMBER or DOWN.

        Raises Unavailable when too many wait, and Postgres' errors when it must be loaded.
        """
        reply = await self._batcher.submit(claim)
        if reply.verdict is Verdict.LOAD:
            await self._loader.submit(claim.group_id)
            reply = await self._batcher.submit(claim)
        return DOWN if reply.verdict is Verdict.LOAD else reply

    async def _claim_many(self, claims: list[Claim]) -> list[GateReply]:
        by_group: dict[int, list[int]] = defaultdict(list)
        for number, claim in enumerate(claims):
            by_group[claim.group_id].append(number)
        now_ms = to_ms(self._clock.now())
        calls = [
            claim_call(group_id, [claims[number].asked for number in numbers], now_ms)
            for group_id, numbers in by_group.items()
        ]
        replies = [DOWN] * len(claims)
        try:
            raw = await self._valkey.run_scripts(CLAIM, calls)
        except GateDown:
            metrics.GATE_FAILURES.inc()
            return replies
        for numbers, answer in zip(by_group.values(), raw, strict=True):
            if isinstance(answer, ResponseError):  # still loading its data, a broken key: the ledger decides
                _failed(answer)
                continue
            for number, reply in zip(numbers, claim_replies(answer), strict=True):
                replies[number] = reply
        return replies

    async def _load_many(self, group_ids: list[int]) -> list[None]:
        await self.tell(await read_facts(self._pool, set(group_ids)))
        return [None] * len(group_ids)

    async def load(self, group_ids: Iterable[int]) -> None:
        """After a commit that has changed these groups. Never fails, as `tell`."""
        try:
            await self.tell(await read_facts(self._pool, set(group_ids)))
        except TELL_ERRORS as error:
            log.warning("slots_not_told", error=repr(error))

    async def tell(
        self, facts: Sequence[SlotFacts], settled: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        """What the ledger says, and by group the claims that it has decided.

        Never fails: what a gate that is down is not told is found by `app/groups/reconcile.py`.
        """
        settled = settled or {}
        told = {each.group_id: each for each in facts}
        await self._try(
            [tell_call(each, told.get(each), settled.get(each, ())) for each in told.keys() | settled.keys()]
        )

    async def _try(self, calls: Sequence[Call]) -> None:
        try:
            replies = await self._valkey.run_scripts(TELL, calls)
        except GateDown:
            metrics.GATE_FAILURES.inc()
            return
        for reply in replies:
            if isinstance(reply, BaseException):
                _failed(reply)

    async def stop(self) -> None:
        await self._batcher.stop()
        await self._loader.stop()


async def read_facts(pool: Pool, group_ids: Iterable[int]) -> list[SlotFacts]:
    """What the ledger says of those that are there. Raises Postgres' errors."""
    wanted = list(group_ids)
    facts = []
    for start in range(0, len(wanted), GROUPS_AT_A_TIME):
        for row in await pool.fetch(sql.read_slots, wanted[start : start + GROUPS_AT_A_TIME]):
            group_id, version, status, slots, ends_at, buyers, orders = row
            members = list(zip(buyers, orders, strict=True))
            facts.append(SlotFacts(group_id, version, status, slots, ends_at, members))
    return facts


def _failed(error: BaseException) -> None:
    metrics.GATE_FAILURES.inc()
    log.warning("slot_gate_script_failed", error=str(error))
