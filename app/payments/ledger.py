"""Double entries of money that came in and went back: every posting sums to zero.

Accounts: `channel:<name>` (what the channel owes us), `shop:<id>` (what was sold for a shop), `unallocated`
(money that counts for no order and goes back).
"""

from __future__ import annotations

from collections.abc import Mapping

from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("payments")

UNALLOCATED = "unallocated"


async def post(
    connection: Connection,
    kind: str,
    posting_id: int,
    currency: str,
    order_id: int,
    entries: Mapping[str, int],
) -> None:
    """Write one posting inside the caller's transaction. A second one with the same kind and id fails."""
    assert sum(entries.values()) == 0, "a posting sums to zero"
    entries = {account: amount_minor for account, amount_minor in entries.items() if amount_minor}
    await connection.execute(
        sql.post_entries, kind, posting_id, currency, order_id, list(entries), list(entries.values())
    )


def channel_account(channel: str) -> str:
    return f"channel:{channel}"


def shop_account(shop_id: str) -> str:
    return f"shop:{shop_id}"
