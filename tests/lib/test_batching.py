"""Batches: shared, bounded, drained, and nobody left waiting."""

import asyncio
from collections.abc import Sequence

import pytest

from app.lib.batching import Batcher
from app.lib.errors import Unavailable


class Doubling:
    """Doubles numbers in batches, when it is let; a negative one breaks its batch."""

    def __init__(self, *, size_max: int = 8, lanes_max: int = 1, backlog_max: int = 100) -> None:
        self.batches: list[list[int]] = []
        self.let = asyncio.Event()
        self.batcher: Batcher[int, int] = Batcher(
            self._run, name="doubling", size_max=size_max, lanes_max=lanes_max, backlog_max=backlog_max
        )

    async def _run(self, numbers: list[int]) -> Sequence[int]:
        self.batches.append(numbers)
        if min(numbers) < 0:
            raise ValueError("negative")
        if not self.let.is_set():
            await self.let.wait()
        return [2 * number for number in numbers]


async def test_what_waits_at_the_same_moment_shares_a_batch() -> None:
    doubling = Doubling(size_max=3)
    doubling.let.set()
    submitted = [doubling.batcher.submit(number) for number in range(4)]
    assert await asyncio.gather(*submitted) == [0, 2, 4, 6]
    assert doubling.batches == [[0, 1, 2], [3]]


async def test_what_is_submitted_as_the_only_lane_ends_is_not_left_waiting() -> None:
    doubling = Doubling(lanes_max=1)
    doubling.let.set()
    async with asyncio.timeout(5):
        assert await doubling.batcher.submit(1) == 2
        assert await doubling.batcher.submit(2) == 4


async def test_a_full_backlog_refuses_at_once() -> None:
    doubling = Doubling(size_max=1, backlog_max=2)
    under_way = doubling.batcher.submit(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting = [doubling.batcher.submit(number) for number in (1, 2)]
    with pytest.raises(Unavailable) as refused:
        doubling.batcher.submit(3)
    assert (refused.value.code, refused.value.members) == ("overloaded", {"retry_after_s": 1})
    doubling.let.set()
    assert await asyncio.gather(under_way, *waiting) == [0, 2, 4]


async def test_a_broken_batch_fails_its_items_alone() -> None:
    doubling = Doubling(size_max=2)
    doubling.let.set()
    good, bad, neighbour, next_batch = [doubling.batcher.submit(number) for number in (1, -1, 2, 3)]
    answers = await asyncio.gather(good, bad, neighbour, next_batch, return_exceptions=True)
    assert [repr(answer) for answer in answers] == ["ValueError('negative')"] * 2 + ["4", "6"]


async def test_stopping_finishes_what_was_taken_and_takes_nothing_more() -> None:
    doubling = Doubling(size_max=1)
    taken = [doubling.batcher.submit(number) for number in range(3)]
    stopping = asyncio.create_task(doubling.batcher.stop())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        doubling.batcher.submit(9)
    doubling.let.set()
    await stopping
    assert [each.result() for each in taken] == [0, 2, 4]
