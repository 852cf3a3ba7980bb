"""Group orders that wait at the same moment share one Postgres transaction; app/checkout/commit.py in small.

Enters a draft that has passed the gate, leaves its own outcome after the commit (what happens when that
fails: app/lib/commit.py). Then the gates learn what the ledger says.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import structlog

from app.groups.admit import GroupDraft
from app.groups.gate import SlotGate, read_facts
from app.groups.ledger import Changed, place_batch
from app.lib import metrics
from app.lib.batching import Batcher
from app.lib.clock import Clock
from app.lib.commit import Committed, Outcome, commit
from app.lib.errors import OutcomeUnknown
from app.lib.gate import LOAD_ERRORS
from app.lib.idempotency import Answer
from app.lib.postgres import Pool
from app.settings import Settings
from app.stock.gate import Gate

log = structlog.get_logger()

# One lane, since orders of one group share its row, and those of one campaign its stock: two made the batches
# half as large and a claim a quarter dearer (docs/performance.md).
LANES_MAX = 1


class GroupCommitter:
    """Group commit. `stop` finishes all that was taken, and then tells the gates the last it knows."""

    def __init__(self, pool: Pool, gate: Gate, slots: SlotGate, clock: Clock, settings: Settings) -> None:
        self._pool, self._gate, self._slots, self._clock = pool, gate, slots, clock
        self._pay_timeout = timedelta(seconds=settings.pay_timeout_s)
        self._telling: set[asyncio.Task[None]] = set()
        self._batcher: Batcher[GroupDraft, Answer] = Batcher(
            self._commit_batch,
            name="group-commit",
            size_max=settings.batch_size_max,
            lanes_max=LANES_MAX,
            backlog_max=settings.backlog_max,
        )

    async def place(self, draft: GroupDraft) -> Answer:
        """The answer once it is durable. Raises why it was refused, Unavailable, or OutcomeUnknown."""
        return await self._batcher.submit(draft)

    async def _commit_batch(self, drafts: list[GroupDraft]) -> Sequence[Outcome]:
        committed = await commit(drafts, self._write)
        metrics.BATCH_SIZE.observe(len(drafts))
        telling = asyncio.create_task(self._tell(drafts, committed), name="tell-slots")
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        return committed.outcomes

    async def _write(self, drafts: Sequence[GroupDraft]) -> Committed[Changed]:
        return await place_batch(self._pool, drafts, self._clock.now(), self._pay_timeout)

    async def _tell(self, drafts: Sequence[GroupDraft], committed: Committed[Changed]) -> None:
        """What this leaves in flight, because something is down, expires there."""
        await self._gate.settle_pools([pool for each in committed.facts for pool in each.pools])
        groups = [group for each in committed.facts for group in each.groups]
        settled: dict[int, list[str]] = defaultdict(list)
        untold = set()
        for draft, outcome in zip(drafts, committed.outcomes, strict=True):
            # Of unknown outcome a claim is released by nobody; refused, only by who has claimed it.
            placed = isinstance(outcome, Answer)
            if draft.group_id is None or isinstance(outcome, OutcomeUnknown):
                continue
            if placed or draft.claimed:
                settled[draft.group_id].append(draft.claim_id)
            if placed:
                untold.add(draft.group_id)
        untold -= {each.group_id for each in groups}
        try:
            # A commit that was found by its keys has brought no facts. They must come before its claim leaves
            # flight, or the gate would promise too much.
            found = await read_facts(self._pool, untold) if untold else []
        except LOAD_ERRORS as error:
            log.warning("slots_not_told", error=repr(error))
            return
        await self._slots.tell([*groups, *found], settled)

    async def stop(self) -> None:
        await self._batcher.stop()
        if self._telling:
            await asyncio.wait(self._telling)
