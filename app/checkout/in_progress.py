"""Two calls with one key at the same moment in one process: the second waits for the first's outcome.

Between processes the ledger's unique index does the same; this spares it the work, and keeps one key from
appearing twice in a batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from app.lib.errors import IdempotencyKeyReused, Unavailable
from app.lib.idempotency import Answer, Once


class _Running(msgspec.Struct):
    request_hash: bytes
    waiting: list[asyncio.Future[Answer]]


class InProgress:
    """What runs right now, by key."""

    def __init__(self) -> None:
        self._running: dict[bytes, _Running] = {}

    async def run(self, once: Once, effect: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run `effect`, or share what runs already. Raises what it raises, and IdempotencyKeyReused."""
        running = self._running.get(once.digest)
        if running is not None:
            return await _join(running, once)
        running = self._running[once.digest] = _Running(once.request_hash, [])
        try:
            answer = await effect()
        except BaseException as error:
            _fail(running.waiting, error)
            raise
        finally:
            del self._running[once.digest]
        for waiter in running.waiting:
            if not waiter.done():
                waiter.set_result(answer)
        return answer


def _fail(waiting: list[asyncio.Future[Answer]], error: BaseException) -> None:
    """Not in the frame that the error's traceback holds: the two would only be freed by the collector."""
    shared = error if isinstance(error, Exception) else Unavailable("interrupted")
    for waiter in waiting:
        if not waiter.done():
            waiter.set_exception(shared)


async def _join(running: _Running, once: Once) -> Answer:
    if running.request_hash != once.request_hash:
        raise IdempotencyKeyReused("use a new key for a new order")
    waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    running.waiting.append(waiter)
    answer = await waiter
    return Answer(answer.status, answer.body, replayed=True)
