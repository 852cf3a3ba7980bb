"""What waits together becomes durable together: the part that all committers share.

Enters a batch and the verb that writes it in one transaction; leaves each item's own outcome, and what the
ledger says of what was written. Transient errors try the whole batch again, with the same keys and ids, so
that a commit whose reply was lost is found by its keys. Only what the database itself refuses splits a batch,
until the one is found: it fails alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

import asyncpg
import msgspec
import stamina
import structlog

from app.lib import metrics
from app.lib.errors import AppError, OutcomeUnknown
from app.lib.idempotency import Answer, Once
from app.lib.postgres import TRANSIENT_ERRORS

log = structlog.get_logger()

# A batch is tried again for this long: a restart of Postgres takes a few seconds, and a buyer who has waited
# for longer has given up. With the wait in the backlog it stays below every gate's FLIGHT_TTL_MS.
RETRY_FOR_S = 8.0
# A deadlock or a lost connection is over at once. As much again at random, so that two that were in each
# other's way do not meet again.
RETRY_WAIT_FIRST_S = 0.02
RETRY_WAIT_MAX_S = 0.5

Outcome = Answer | AppError


class Keyed(Protocol):
    """What is committed: a call that counts once."""

    @property
    def once(self) -> Once: ...


Item = TypeVar("Item", bound=Keyed)
Fact = TypeVar("Fact")


class Committed(msgspec.Struct, Generic[Fact]):
    """One outcome per item, in order, and what the gates must learn."""

    outcomes: list[Outcome]
    facts: list[Fact]


Write = Callable[[Sequence[Item]], Awaitable[Committed[Fact]]]


async def commit(batch: Sequence[Item], write: Write[Item, Fact]) -> Committed[Fact]:
    """What `write` leaves has been committed. Whose outcome is OutcomeUnknown may have been, too: nothing of
    it is released before the ledger has been asked.
    """
    try:
        async for attempt in stamina.retry_context(
            on=TRANSIENT_ERRORS,
            attempts=None,
            timeout=RETRY_FOR_S,
            wait_initial=RETRY_WAIT_FIRST_S,
            wait_jitter=RETRY_WAIT_FIRST_S,
            wait_max=RETRY_WAIT_MAX_S,
        ):
            with attempt:
                if attempt.num > 1:
                    metrics.COMMIT_RETRIES.inc()
                committed = await write(batch)
    except TRANSIENT_ERRORS as error:
        log.error("commit_given_up", **_named(batch), error=repr(error))
        return Committed([OutcomeUnknown() for _ in batch], [])
    except asyncpg.PostgresError as error:
        return await _split(batch, write, error)
    return committed


async def _split(
    batch: Sequence[Item], write: Write[Item, Fact], error: asyncpg.PostgresError
) -> Committed[Fact]:
    """The database refuses something in this batch: find out what, and let the others through."""
    if len(batch) == 1:
        log.error("refused_by_database", **_named(batch), error=repr(error))
        return Committed([AppError()], [])
    middle = len(batch) // 2
    first = await commit(batch[:middle], write)
    second = await commit(batch[middle:], write)
    return Committed(first.outcomes + second.outcomes, first.facts + second.facts)


def _named(batch: Sequence[Keyed]) -> dict[str, object]:
    """For whoever looks them up in the ledger, or asks their callers."""
    return {
        "call": batch[0].once.call,
        "callers": [each.once.caller_id for each in batch],
        "keys": [each.once.digest.hex() for each in batch],
    }
