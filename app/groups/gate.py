"""The gate before a group's slots: who may try the ledger at all. As the coupons' gate (app/coupons/gate.py).

Claims that wait together share one script call a group. A group that the gate does not hold is loaded from
the ledger with its members, never taken for empty or full. The gate only answers sooner: the ledger refuses
what the gate wrongly let through, and without Valkey, or for a group that is not there, it decides alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

import structlog
from msgspec import Struct

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
from app.lib.clock import Clock
from app.lib.gate import LOAD_ERRORS, asking, loading, try_scripts
from app.lib.postgres import Pool
from app.lib.sql import load
from app.lib.valkey import Call, Valkey

log = structlog.get_logger()
sql = load("groups")

# Groups read and told at a time: some 20 ms of Postgres.
GROUPS_AT_A_TIME = 1_000


class Claim(Struct, frozen=True, eq=False):
    """Somebody who asks for a slot of a group."""

    group_id: int
    asked: Asked


class SlotGate:
    """Open it with the process, `stop` it with the process."""

    def __init__(self, valkey: Valkey, pool: Pool, clock: Clock) -> None:
        self._valkey, self._pool, self._clock = valkey, pool, clock
        self._asking = asking(
            valkey,
            CLAIM,
            name="slot-gate",
            key_of=attrgetter("group_id"),
            call_of=self._claim_call,
            replies_of=lambda _, raw: claim_replies(raw),
            down=DOWN,
        )
        self._loading = loading(self._load, name="slot-gate-load")

    async def claim(self, claim: Claim) -> GateReply:
        """CLAIMED, REPEAT, FULL, OVER, MEMBER or DOWN.

        Raises Unavailable when too many wait, and Postgres' errors when it must be loaded.
        """
        reply = await self._asking.submit(claim)
        if reply.verdict is Verdict.LOAD:
            await self._loading.submit(claim.group_id)
            reply = await self._asking.submit(claim)
        return DOWN if reply.verdict is Verdict.LOAD else reply

    def _claim_call(self, claims: Sequence[Claim]) -> Call:
        """All of one group."""
        return claim_call(claims[0].group_id, [claim.asked for claim in claims], to_ms(self._clock.now()))

    async def _load(self, group_ids: set[int]) -> None:
        await self.tell(await read_facts(self._pool, group_ids))

    async def load(self, group_ids: Iterable[int]) -> None:
        """After a commit that has changed these groups. Never fails, as `tell`."""
        try:
            await self._load(set(group_ids))
        except LOAD_ERRORS as error:
            log.warning("slots_not_told", error=repr(error))

    async def tell(
        self, facts: Sequence[SlotFacts], settled: Mapping[int, Sequence[str]] | None = None
    ) -> None:
        """What the ledger says, and by group the claims that it has decided.

        Never fails: what a gate that is down is not told is found by `app/groups/reconcile.py`.
        """
        settled = settled or {}
        told = {each.group_id: each for each in facts}
        calls = [
            tell_call(each, told.get(each), settled.get(each, ())) for each in told.keys() | settled.keys()
        ]
        await try_scripts(self._valkey, TELL, calls)

    async def stop(self) -> None:
        await self._asking.stop()
        await self._loading.stop()


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
