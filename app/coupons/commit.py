"""Claims that wait at the same moment share one Postgres transaction; app/checkout/commit.py in small.

Enters a claim that has passed the gate, leaves its own outcome after the commit (what happens when that
fails: app/lib/commit.py). Before a buyer is answered, the cached coupons and the gate know.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.json import encode

from app.coupons import ledger
from app.coupons.admit import Numbers, why_closed
from app.coupons.gate import CouponGate
from app.coupons.held import HeldCoupons
from app.coupons.scripts import Settled
from app.lib.batching import Batcher
from app.lib.commit import Committed, Outcome, commit
from app.lib.errors import AppError, OutcomeUnknown
from app.lib.idempotency import Answer, Once, keep_answers, release_keys, take_keys
from app.lib.postgres import Connection, Pool, transaction

# A batch's fixed cost is seven round trips, a claim's share four narrow rows: 256 take some 15 ms.
BATCH_SIZE_MAX = 256
# All claims of a rush share their template's row: a second lane would only wait for the first.
LANES_MAX = 1
BACKLOG_MAX = 4_096


class Taken(Struct, frozen=True, eq=False):
    """A claim on its way to the ledger, with the id that its coupon will have."""

    once: Once
    template_id: str
    coupon_id: int
    created_at: datetime


class CouponCommitter:
    """Group commit. `stop` finishes all that was taken."""

    def __init__(self, pool: Pool, gate: CouponGate, held: HeldCoupons) -> None:
        self._pool = pool
        self._gate = gate
        self._held = held
        self._batcher: Batcher[Taken, Answer] = Batcher(
            self._commit_batch,
            name="coupon-commit",
            size_max=BATCH_SIZE_MAX,
            lanes_max=LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def take(self, taken: Taken) -> Answer:
        """The answer once it is durable. Raises why it was refused, Unavailable, or OutcomeUnknown."""
        return await self._batcher.submit(taken)

    async def _commit_batch(self, batch: list[Taken]) -> Sequence[Outcome]:
        committed = await commit(batch, self._write)
        # A replayed claim's process may have died after its commit, before it told anyone.
        await self._held.forget(
            taken.once.caller_id
            for taken, outcome in zip(batch, committed.outcomes, strict=True)
            if isinstance(outcome, Answer)
        )
        # All numbers before the claims leave flight, or the gate would promise too much.
        *first, last = committed.facts or [Numbers({}, {})]
        for numbers in first:
            await self._gate.tell(numbers)
        await self._gate.tell(last, _settled(batch, committed.outcomes))
        return committed.outcomes

    async def _write(self, batch: Sequence[Taken]) -> Committed[Numbers]:
        async with transaction(self._pool) as connection:
            return await take_batch(connection, batch)

    async def stop(self) -> None:
        await self._batcher.stop()


async def take_batch(connection: Connection, batch: Sequence[Taken]) -> Committed[Numbers]:
    """Decide each claim and write those that get a coupon, inside the caller's transaction."""
    outcomes: dict[bytes, Outcome] = {}
    for digest, earlier in (await take_keys(connection, [each.once for each in batch])).items():
        outcomes[digest] = earlier
    new = [each for each in batch if each.once.digest not in outcomes]
    # Those of replayed claims too: the gate takes their numbers from here.
    numbers = await ledger.lock(connection, [(each.template_id, each.once.caller_id) for each in batch])
    answers: dict[bytes, Answer] = {}
    for each in new:
        try:
            answers[each.once.digest] = Answer(200, encode(_give(numbers, each)))
        except AppError as refused:
            outcomes[each.once.digest] = refused
    await ledger.write(connection, numbers)
    await keep_answers(connection, answers)
    await release_keys(connection, [each.once.digest for each in new if each.once.digest in outcomes])
    outcomes |= answers
    return Committed([_first_time(each, outcomes[each.once.digest]) for each in batch], [numbers])


def _give(numbers: Numbers, taken: Taken) -> object:
    closed = why_closed(numbers.template(taken.template_id).document, taken.created_at)
    if closed is not None:
        raise closed
    return numbers.give(taken.template_id, taken.once.caller_id, taken.coupon_id, taken.created_at)


def _first_time(taken: Taken, outcome: Outcome) -> Outcome:
    """Sent again because its commit's reply was lost, a claim finds its own coupon: that is no repeat."""
    if isinstance(outcome, Answer) and outcome.replayed and _is_own(taken, outcome):
        return Answer(outcome.status, outcome.body)
    return outcome


def _is_own(taken: Taken, answer: Answer) -> bool:
    return f'"coupon_id":"{taken.coupon_id}"'.encode() in answer.body


def _settled(batch: Sequence[Taken], outcomes: Sequence[Outcome]) -> dict[str, list[Settled]]:
    """By template, how each claim leaves flight."""
    settled: dict[str, list[Settled]] = defaultdict(list)
    for taken, outcome in zip(batch, outcomes, strict=True):
        if isinstance(outcome, OutcomeUnknown):
            continue  # released by nobody until the ledger has been asked
        placed = isinstance(outcome, Answer) and not outcome.replayed
        settled[taken.template_id].append(Settled(taken.once.digest.hex(), taken.once.caller_id, placed))
    return settled
