"""Calls that wait at the same moment share one round trip.

`Batcher` collects what callers submit and hands it to `run_batch` in lists of at most `size_max`, with at
most `lanes_max` batches under way. An idle one runs at once, so it adds no latency; under load the batches
grow by themselves while the lanes are busy. A full backlog refuses at once. A caller that goes away cancels
nothing that has begun. `stop` drains.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from app.lib.errors import Unavailable

# Who has waited for this long is refused before anything is done: during an outage every batch takes seconds,
# and a full backlog would keep its last buyers for minutes.
WAIT_MAX_S = 5.0

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """`run_batch` gives one result or exception per item, in order; if it raises, all its items fail."""

    def __init__(
        self,
        run_batch: Callable[[list[Item]], Awaitable[Sequence[Result | BaseException]]],
        *,
        name: str,
        size_max: int,
        lanes_max: int,
        backlog_max: int,
        wait_max_s: float = WAIT_MAX_S,
    ) -> None:
        self._run_batch = run_batch
        self.name = name
        self.size_max = size_max
        self.lanes_max = lanes_max
        self.backlog_max = backlog_max
        self.wait_max_s = wait_max_s
        # with the moment from which it is too late to begin
        self._waiting: deque[tuple[Item, asyncio.Future[Result], float]] = deque()
        self._lanes: set[asyncio.Task[None]] = set()
        self._wake_up_due = False
        self._stopping = False
        # That of the first call: asking for the running loop is a system call each time.
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def backlog(self) -> int:
        """How many items wait for a lane."""
        return len(self._waiting)

    def submit(self, item: Item) -> asyncio.Future[Result]:
        """Put an item into the backlog. Raises Unavailable when it is full or the process is stopping."""
        if self._stopping:
            raise Unavailable("the service is stopping", code="stopping")
        if len(self._waiting) >= self.backlog_max:
            raise Unavailable("too many requests wait already", code="overloaded")
        if (loop := self._loop) is None:
            loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future, loop.time() + self.wait_max_s))
        if not self._wake_up_due and len(self._lanes) < self.lanes_max:
            # At the end of this turn of the loop, so that all that arrived in it share the batch.
            self._wake_up_due = True
            loop.call_soon(self._open_lane)
        return future

    def _open_lane(self) -> None:
        self._wake_up_due = False
        if self._waiting and len(self._lanes) < self.lanes_max:
            lane = asyncio.create_task(self._run_lane(), name=f"{self.name}-lane")
            self._lanes.add(lane)

    async def _run_lane(self) -> None:
        lane = asyncio.current_task()
        assert lane is not None
        try:
            await self._run_batches()
        finally:
            # Here, not in a callback: what is submitted in between would find no free lane and wait for ever.
            self._lanes.discard(lane)

    async def _run_batches(self) -> None:
        while batch := self._take_batch():
            try:
                results = await self._run_batch([item for item, _ in batch])
            except Exception as error:
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():  # its caller went away; the effect stands all the same
                    continue
                if isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _take_batch(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        now = asyncio.get_running_loop().time()
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(batch) < self.size_max:
            item, future, too_late = self._waiting.popleft()
            if now < too_late:
                batch.append((item, future))
            elif not future.done():
                future.set_exception(Unavailable("too many requests wait already", code="overloaded"))
        return batch

    async def stop(self) -> None:
        """Take nothing more, finish what was taken."""
        self._stopping = True
        self._open_lane()
        while self._lanes:
            await asyncio.wait(set(self._lanes))
            self._open_lane()
