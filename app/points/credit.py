"""Points come in: granted by an operator, or earned with an order. Each time a lot, and a posting.

Inside the caller's transaction. Must hold: a lot's id is its posting's, so what is credited twice counts
once; what a buyer owes is kept from it first.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from app.balances.accounts import POINTS, issued, points_account
from app.balances.book import Posting, book, lock_balances, transfer
from app.lib.postgres import Connection
from app.lib.sql import load
from app.points.documents import PointsRules
from app.points.lots import after_debt

sql = load("points")

# When points end that have no end.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class Credit(NamedTuple):
    lot_id: int
    buyer_id: str
    points: int
    expires_at: datetime
    # that earned them
    order_id: int | None = None


def expiry(rules: PointsRules, now: datetime, valid_days: int | None = None) -> datetime:
    days = valid_days or rules.valid_days
    return NEVER if days is None else now + timedelta(days=days)


async def credit(connection: Connection, kind: str, incoming: Sequence[Credit], now: datetime) -> None:
    accounts = [(points_account(each.buyer_id), POINTS) for each in incoming]
    balances = await lock_balances(connection, accounts, opening=True)
    postings = [
        Posting(
            kind,
            each.lot_id,
            transfer(POINTS, each.points, issued("points"), points_account(each.buyer_id)),
            each.order_id,
        )
        for each in incoming
    ]
    booked = await book(connection, postings, now)
    new = [each for each in incoming if (kind, each.lot_id) in booked]
    if new:
        left = []
        for each in new:
            account = points_account(each.buyer_id), POINTS
            left.append(after_debt(balances[account], each.points))
            balances[account] += each.points
        lot_ids, buyer_ids, points, ends, _ = (list(column) for column in zip(*new, strict=True))
        await connection.execute(sql.add_lots, lot_ids, buyer_ids, points, left, ends, now)
