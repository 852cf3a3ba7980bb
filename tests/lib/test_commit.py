"""What becomes of a batch when its transaction fails: tried again, split, or given up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence

import msgspec
import pytest
import stamina

from app.lib import commit as committing
from app.lib import metrics
from app.lib.commit import Committed, commit
from app.lib.errors import AppError, OutcomeUnknown
from app.lib.idempotency import Answer, Once, identify
from app.lib.postgres import Pool, open_pool

DONE = Answer(201, b"{}")


class Item(msgspec.Struct):
    once: Once
    number: int


class Ledger:
    """Writes a batch's numbers below 100 into a table; notes what it was asked to write."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.tries: list[list[int]] = []
        # raised by the database at the next tries
        self.troubles: list[str] = []

    async def write(self, batch: Sequence[Item]) -> Committed[int]:
        numbers = [each.number for each in batch]
        self.tries.append(numbers)
        if self.troubles:
            await self.pool.execute(f"DO $$BEGIN RAISE USING ERRCODE = '{self.troubles.pop()}'; END$$")
        await self.pool.execute("INSERT INTO kept SELECT unnest($1::int[])", numbers)
        return Committed([DONE] * len(batch), numbers)

    async def kept(self) -> list[int]:
        return [row["number"] for row in await self.pool.fetch("SELECT number FROM kept ORDER BY 1")]


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    pool = await open_pool(database_url, size_max=2, statement_timeout_ms=5_000, name="test")
    await pool.execute("CREATE TABLE kept (number int PRIMARY KEY CHECK (number < 100))")
    yield Ledger(pool)
    await pool.close()


@pytest.fixture
def waits() -> Iterator[list[float]]:
    """How long was waited before each further try, in seconds."""
    waited: list[float] = []
    stamina.instrumentation.set_on_retry_hooks([lambda retry: waited.append(retry.wait_for)])
    yield waited
    stamina.instrumentation.set_on_retry_hooks(None)


def batch(*numbers: int) -> list[Item]:
    return [Item(identify("call", "42", str(number), number), number) for number in numbers]


def retries() -> float:
    return metrics.COMMIT_RETRIES._value.get()


async def test_a_batch_is_written_together(ledger: Ledger) -> None:
    committed = await commit(batch(1, 2, 3), ledger.write)
    assert committed == Committed([DONE] * 3, [1, 2, 3])
    assert ledger.tries == [[1, 2, 3]]


async def test_what_the_database_refuses_fails_alone(ledger: Ledger) -> None:
    committed = await commit(batch(1, 2, 3, 100, 5), ledger.write)
    assert [type(each) for each in committed.outcomes] == [Answer, Answer, Answer, AppError, Answer]
    assert committed.facts == await ledger.kept() == [1, 2, 3, 5]
    assert ledger.tries == [[1, 2, 3, 100, 5], [1, 2], [3, 100, 5], [3], [100, 5], [100], [5]]


@pytest.mark.parametrize("trouble", ["deadlock_detected", "serialization_failure", "admin_shutdown"])
async def test_what_passes_is_tried_again_whole(ledger: Ledger, trouble: str) -> None:
    before, ledger.troubles = retries(), [trouble, trouble]
    committed = await commit(batch(1, 100, 3), ledger.write)
    assert [type(each) for each in committed.outcomes] == [Answer, AppError, Answer]
    assert ledger.tries == [[1, 100, 3]] * 3 + [[1], [100, 3], [100], [3]]
    assert retries() - before == 2


async def test_a_deadlock_is_tried_again_soon_and_an_outage_ever_more_slowly(
    ledger: Ledger, waits: list[float]
) -> None:
    ledger.troubles = ["deadlock_detected"] * 3
    await commit(batch(1), ledger.write)
    assert all(least <= wait <= least + 0.02 for least, wait in zip((0.02, 0.04, 0.08), waits, strict=True))


async def test_what_cannot_even_be_sent_is_not_tried_again(ledger: Ledger) -> None:
    committed = await commit(batch(1, 2**40, 3), ledger.write)
    assert [type(each) for each in committed.outcomes] == [Answer, AppError, Answer]
    assert ledger.tries == [[1, 2**40, 3], [1], [2**40, 3], [2**40], [3]]


async def test_a_ledger_that_stays_away_leaves_the_outcomes_unknown(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "RETRY_FOR_S", 0.1)
    ledger.troubles = ["admin_shutdown"] * 100
    committed = await commit(batch(1, 2), ledger.write)
    assert [type(each) for each in committed.outcomes] == [OutcomeUnknown, OutcomeUnknown]
    assert committed.facts == await ledger.kept() == []
    assert len(ledger.tries) > 1


async def test_a_fault_of_ours_is_raised(ledger: Ledger) -> None:
    async def broken(_: Sequence[Item]) -> Committed[int]:
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        await commit(batch(1, 2), broken)
