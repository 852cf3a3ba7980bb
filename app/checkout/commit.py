"""The committer: orders that wait at the same moment share one Postgres transaction.

Enters a checkout, leaves its own outcome after the commit (what happens when that fails: app/lib/commit.py).
Then the gate learns what the ledger says.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import structlog

from app.checkout.ledger import place_batch
from app.checkout.schemas import Checkout
from app.lib import metrics
from app.lib.batching import Batcher
from app.lib.commit import Committed, Outcome, commit
from app.lib.errors import OutcomeUnknown
from app.lib.gate import LOAD_ERRORS
from app.lib.idempotency import Answer
from app.lib.postgres import Pool
from app.settings import Settings
from app.stock.gate import Gate
from app.stock.scripts import PoolFact, Reservation

log = structlog.get_logger()


class Committer:
    """Group commit. `stop` drains it and then tells the gate the last it knows."""

    def __init__(self, pool: Pool, gate: Gate, settings: Settings) -> None:
        self._pool = pool
        self._gate = gate
        self._settling: set[asyncio.Task[None]] = set()
        self.batcher: Batcher[Checkout, Answer] = Batcher(
            self._commit_batch,
            name="commit",
            size_max=settings.batch_size_max,
            lanes_max=settings.lanes_max,
            backlog_max=settings.backlog_max,
        )
        metrics.BACKLOG.set_function(lambda: self.batcher.backlog)

    async def place(self, checkout: Checkout) -> Answer:
        """The answer once it is durable. Raises why it was refused, Unavailable, or OutcomeUnknown."""
        return await self.batcher.submit(checkout)

    async def _commit_batch(self, checkouts: list[Checkout]) -> Sequence[Outcome]:
        started = time.perf_counter()
        committed = await commit(checkouts, partial(place_batch, self._pool))
        metrics.BATCH_SIZE.observe(len(checkouts))
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - started)
        settling = asyncio.create_task(self._settle(checkouts, committed), name="settle")
        self._settling.add(settling)
        settling.add_done_callback(self._settling.discard)
        return committed.outcomes

    async def _settle(self, checkouts: list[Checkout], committed: Committed[PoolFact]) -> None:
        """What this leaves in flight, because something is down, is swept (app/stock/sweep.py)."""
        settled: dict[str, list[tuple[bytes, bool]]] = defaultdict(list)
        told = {fact.pool_id for fact in committed.facts}
        untold: set[tuple[str, int]] = set()
        for checkout, outcome in zip(checkouts, committed.outcomes, strict=True):
            for part in checkout.reservations:
                placed = _settles_as(checkout, part, outcome)
                if placed is not None:
                    settled[part.shop_id].append((part.reservation_id, placed))
                if placed:
                    untold.update([(part.shop_id, w.pool_id) for w in part.wants if w.pool_id not in told])
        # A commit that was found by its keys has brought no numbers. They must come before the reservation
        # leaves flight, or the gate would promise too much.
        try:
            await self._gate.load(sorted(untold))
        except LOAD_ERRORS as error:
            log.warning("settle_given_up", orders=_order_ids(checkouts), error=repr(error))
            return
        await self._gate.settle(settled, committed.facts)

    async def stop(self) -> None:
        """Finish all that was taken."""
        await self.batcher.stop()
        if self._settling:
            await asyncio.wait(self._settling)


def _settles_as(checkout: Checkout, part: Reservation, outcome: Outcome) -> bool | None:
    """How a reservation leaves flight: True placed, False refused, None not by us.

    One that this call does not hold may be in flight for an earlier call with the same key, whose process
    died before it could settle: once the order is known, it is that order's.
    """
    if isinstance(outcome, OutcomeUnknown):
        return None  # released by nobody until the ledger has been asked
    if part in checkout.held:
        return isinstance(outcome, Answer) and outcome.body == checkout.answer_body
    return True if isinstance(outcome, Answer) else None


def _order_ids(checkouts: Sequence[Checkout]) -> list[str]:
    return [str(each.root.order_id) for each in checkouts]
