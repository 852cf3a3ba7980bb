"""The books: a posting sums to zero, counts once, and takes nothing that is not there."""

from __future__ import annotations

from datetime import UTC, datetime

import asyncpg
import pytest

from app.balances.book import Entry, Posting, book, lock_balances, transfer
from app.bootstrap import Services
from app.lib.postgres import transaction

NOW = datetime(2026, 11, 11, tzinfo=UTC)
CARD = ("gift_card:1", "CNY")
ISSUED = Posting("gift_card_issued", 1, transfer("CNY", 500, "issued:gift_card", "gift_card:1"))


def spend(posting_id: int, amount: int) -> Posting:
    return Posting(
        "freeze", posting_id, transfer("CNY", amount, "gift_card:1", "frozen:gift_card"), posting_id
    )


async def write(services: Services, *postings: Posting) -> set[tuple[str, int]]:
    async with transaction(services.pool) as connection:
        await lock_balances(connection, [CARD], opening=True)
        return await book(connection, postings, NOW)


async def held(services: Services) -> int:
    async with transaction(services.pool) as connection:
        return (await lock_balances(connection, [CARD])).get(CARD, 0)


async def test_a_posting_that_is_written_already_changes_nothing(services: Services) -> None:
    assert await write(services, ISSUED) == {("gift_card_issued", 1)}
    assert await write(services, ISSUED, spend(7, 100)) == {("freeze", 7)}
    assert await write(services, ISSUED, spend(7, 100)) == set()
    assert await held(services) == 400


async def test_several_postings_of_one_account_keep_the_balance_after_each(services: Services) -> None:
    await write(services, ISSUED, spend(7, 100), spend(8, 150))
    rows = await services.pool.fetch(
        "SELECT amount_minor, balance_after FROM ledger_entry WHERE account = 'gift_card:1' ORDER BY entry_id"
    )
    assert [tuple(row) for row in rows] == [(500, 500), (-100, 400), (-150, 250)]


async def test_what_is_not_there_cannot_be_taken(services: Services) -> None:
    await write(services, ISSUED)
    with pytest.raises(asyncpg.CheckViolationError, match="ledger_entry_covered"):
        await write(services, spend(7, 300), spend(8, 300))
    assert await held(services) == 500


async def test_a_posting_that_does_not_sum_to_zero_is_not_written(services: Services) -> None:
    crooked = Posting("freeze", 9, [Entry("gift_card:1", "CNY", -5), Entry("frozen:gift_card", "USD", 5)])
    with pytest.raises(AssertionError, match="sums to zero"):
        await write(services, ISSUED, crooked)
    assert await held(services) == 0
