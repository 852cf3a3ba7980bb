"""Changes balances by double entries: every posting sums to zero, and counts once.

Enters: postings, inside the caller's transaction, whose accounts the caller has locked. Leaves: the entries
and what each account holds now. Must hold: locks are taken in the order of the accounts' names, all of a
transaction's at once; what an account does not hold cannot leave it (a CHECK on the entry).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("balances")

# (account, currency)
Account = tuple[str, str]


class Entry(NamedTuple):
    account: str
    currency: str
    amount: int


class Posting(NamedTuple):
    """`kind` and `posting_id` are what is posted, once: ("freeze", an order), ("points_granted", a lot)."""

    kind: str
    posting_id: int
    entries: Sequence[Entry]
    order_id: int | None = None


def transfer(currency: str, amount: int, source: str, target: str) -> list[Entry]:
    return [Entry(source, currency, -amount), Entry(target, currency, amount)]


async def lock_balances(
    connection: Connection, accounts: Iterable[Account], *, opening: bool = False
) -> dict[Account, int]:
    """What these accounts hold; one that never held anything is left out, unless it is opened here."""
    wanted = sorted(set(accounts))
    if not wanted:
        return {}
    columns = [list(column) for column in zip(*wanted, strict=True)]
    if opening:
        await connection.execute(sql.open_balances, *columns)
    rows = await connection.fetch(sql.lock_balances, *columns)
    return {(row["account"], row["currency"]): row["amount"] for row in rows}


async def book(connection: Connection, postings: Sequence[Posting], now: datetime) -> set[tuple[str, int]]:
    """Write postings; returns (kind, id) of those that had not been written before."""
    flat = [(each, entry) for each in postings for entry in each.entries if entry.amount]
    if not flat:
        return set()
    for posting in postings:
        assert sums_to_zero(posting.entries), f"{posting.kind} {posting.posting_id} sums to zero"
    rows = await connection.fetch(
        sql.book,
        [posting.kind for posting, _ in flat],
        [posting.posting_id for posting, _ in flat],
        [entry.account for _, entry in flat],
        [entry.currency for _, entry in flat],
        [entry.amount for _, entry in flat],
        [posting.order_id for posting, _ in flat],
        now,
    )
    return {(row["kind"], row["posting_id"]) for row in rows}


def merge(entries: Iterable[Entry]) -> list[Entry]:
    """One entry an account: a posting has no two."""
    amounts: dict[Account, int] = defaultdict(int)
    for entry in entries:
        amounts[entry.account, entry.currency] += entry.amount
    return [Entry(*account, amount) for account, amount in amounts.items()]


def sums_to_zero(entries: Iterable[Entry]) -> bool:
    sums: dict[str, int] = defaultdict(int)
    for entry in entries:
        sums[entry.currency] += entry.amount
    return not any(sums.values())
