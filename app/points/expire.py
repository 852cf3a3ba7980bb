"""Points whose time is over leave: a sweep, set-based, safe in any number of workers."""

from __future__ import annotations

from datetime import datetime

from app.balances.accounts import POINTS, expired, points_account
from app.balances.book import Posting, book, lock_balances, transfer
from app.bootstrap import Services
from app.lib.postgres import transaction
from app.lib.sql import load

sql = load("points")


async def expire_points(services: Services, now: datetime, limit: int) -> int:
    """Sweep: how many lots were emptied. A lot that gets points back after its end is emptied again."""
    due = await services.pool.fetch(sql.due_lots, now, limit)
    if not due:
        return 0
    async with transaction(services.pool) as connection:
        accounts = [(points_account(row["buyer_id"]), POINTS) for row in due]
        await lock_balances(connection, accounts)
        ended = await connection.fetch(sql.end_lots, [row["lot_id"] for row in due])
        postings = [
            Posting(
                "points_expired",
                services.ids.next(),
                transfer(POINTS, row["points"], points_account(row["buyer_id"]), expired("points")),
            )
            for row in ended
        ]
        await book(connection, postings, now)
    return len(due)
