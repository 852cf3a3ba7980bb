"""What a sweep has found due, settled together; a row that cannot be settled holds up no other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from app.lib import metrics
from app.lib.postgres import TRANSIENT_ERRORS

log = structlog.get_logger()

Id = TypeVar("Id", int, str)


async def each_settled(
    sweep: str,
    ids: Sequence[Id],
    together: Callable[[Sequence[Id]], Awaitable[int]],
    put_off: Callable[[Id], Awaitable[None]] | None = None,
) -> int:
    """All of them together; where that fails, in halves, down to the one that is in trouble.

    Without `put_off` the next sweep comes by it again. Returns how many were settled.
    """
    if not ids:
        return 0
    try:
        return await together(ids)
    except TRANSIENT_ERRORS:  # says nothing of these rows: the sweep comes again
        raise
    except Exception as error:
        if len(ids) == 1:
            metrics.SWEEP_FAILURES.labels(sweep).inc()
            log.error("not_settled", sweep=sweep, id=ids[0], error=repr(error))
            if put_off is not None:
                await put_off(ids[0])
            return 0
    half = len(ids) // 2
    return sum([await each_settled(sweep, part, together, put_off) for part in (ids[:half], ids[half:])])


async def each_alone(
    sweep: str,
    ids: Sequence[Id],
    one: Callable[[Id], Awaitable[int]],
    put_off: Callable[[Id], Awaitable[None]] | None = None,
) -> int:
    """The same where each has a transaction of its own."""

    async def together(part: Sequence[Id]) -> int:
        return sum([await one(each) for each in part])

    return sum([await each_settled(sweep, [each], together, put_off) for each in ids])
