"""Sweeps: each by itself, every second, until nothing is left."""

from datetime import datetime

from app.bootstrap import Services
from app.lib import metrics
from app.sweeps import Sweep, Sweeper, sweep_once
from tests.waiting import wait_until


class Counter:
    def __init__(self, *counts: int) -> None:
        self.counts = list(counts)
        self.calls = 0

    async def __call__(self, _services: Services, _now: datetime, _limit: int) -> int:
        self.calls += 1
        return self.counts.pop(0) if self.counts else 0


async def test_a_full_batch_is_followed_by_the_next_at_once(services: Services) -> None:
    verb = Counter(10, 10, 3)
    assert await sweep_once(services, Sweep("full", verb, batch_max=10)) == 23
    assert verb.calls == 3


async def test_a_sweep_that_fails_holds_up_no_other_and_is_tried_again(services: Services) -> None:
    healthy = Counter()
    failed = 0

    async def failing(_services: Services, _now: datetime, _limit: int) -> int:
        nonlocal failed
        failed += 1
        raise OSError("the database is away")

    sweeper = Sweeper(services, [Sweep("failing", failing), Sweep("healthy", healthy)])
    await sweeper.start()

    async def twice() -> bool:
        return failed >= 2 and healthy.calls >= 2

    try:
        await wait_until(twice)
    finally:
        await sweeper.stop()
    counted = metrics.SWEEP_FAILURES.labels("failing")._value.get()
    assert counted == failed
