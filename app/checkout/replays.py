"""Has this key placed an order already? Asked before any refusal is answered, in batches.

A retry of a placed order finds its own coupon used and its own stock taken, so it would be refused: but a
placed order's retry always gets its order.
"""

from __future__ import annotations

import asyncpg

from app.lib.batching import Batcher
from app.lib.errors import IdempotencyKeyReused, Unavailable
from app.lib.idempotency import Answer, Once, earlier_answer, sql
from app.lib.postgres import TRANSIENT_ERRORS, Pool

# One look-up of 512 keys takes about 2 ms; more at once only make the first of them wait.
LOOKUP_SIZE_MAX = 512
LOOKUP_LANES_MAX = 1
BACKLOG_MAX = 8_192


class Replays:
    """Looks keys up in the ledger."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.batcher: Batcher[Once, Answer | None] = Batcher(
            self._find_many,
            name="replays",
            size_max=LOOKUP_SIZE_MAX,
            lanes_max=LOOKUP_LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def find(self, once: Once) -> Answer | None:
        """The answer that this key got before, or None.

        Raises IdempotencyKeyReused when it came with other content, Unavailable when the ledger is away.
        """
        return await self.batcher.submit(once)

    async def _find_many(self, calls: list[Once]) -> list[Answer | BaseException | None]:
        try:
            rows = await self._pool.fetch(sql.read_keys, [call.digest for call in calls])
        except TRANSIENT_ERRORS:
            return [Unavailable("the ledger does not answer", code="ledger_down")] * len(calls)
        if not rows:
            return [None] * len(calls)
        found = {row["digest"]: row for row in rows}
        return [_answer(found.get(call.digest), call) for call in calls]


def _answer(row: asyncpg.Record | None, once: Once) -> Answer | IdempotencyKeyReused | None:
    if row is None:
        return None
    try:
        return earlier_answer(row, once)
    except IdempotencyKeyReused as reused:
        return reused
