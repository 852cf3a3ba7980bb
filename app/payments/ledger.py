"""Double entries of money that came in and went back: every posting sums to zero.

Accounts: `channel:<name>` (what the channel owes us), `shop:<id>` (what was sold for a shop), `unallocated`
(money that counts for no order and goes back).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("payments")

UNALLOCATED = "unallocated"


class Posting(NamedTuple):
    """`entries`: amounts by account; those of nothing are left out."""

    kind: str
    posting_id: int
    currency: str
    order_id: int
    entries: Mapping[str, int]


async def post(
    connection: Connection,
    kind: str,
    posting_id: int,
    currency: str,
    order_id: int,
    entries: Mapping[str, int],
) -> None:
    """Write one posting inside the caller's transaction. A second one with the same kind and id fails."""
    await post_all(connection, [Posting(kind, posting_id, currency, order_id, entries)])


async def post_all(connection: Connection, postings: Sequence[Posting]) -> None:
    """Write postings, as `post` does."""
    rows = []
    for posting in postings:
        assert sum(posting.entries.values()) == 0, "a posting sums to zero"
        rows += [(*posting[:4], account, amount) for account, amount in posting.entries.items() if amount]
    await connection.execute(sql.post_entries, *map(list, zip(*rows, strict=True)))


def sale(
    payment_id: int, order_id: int, channel: str, currency: str, shares: Iterable[tuple[str, int]]
) -> Posting:
    """What a channel captured for an order, as the shares of its shops."""
    entries: dict[str, int] = {}
    for shop_id, share_minor in shares:
        account = shop_account(shop_id)
        entries[account] = entries.get(account, 0) - share_minor
    entries = {channel_account(channel): -sum(entries.values())} | entries
    return Posting("capture", payment_id, currency, order_id, entries)


def channel_account(channel: str) -> str:
    return f"channel:{channel}"


def shop_account(shop_id: str) -> str:
    return f"shop:{shop_id}"
