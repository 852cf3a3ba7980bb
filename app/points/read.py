"""A buyer's points: what there is, what becomes of it, and every change."""

from __future__ import annotations

from datetime import datetime

from app.balances.accounts import POINTS, points_account
from app.balances.book import sql as balances_sql
from app.lib.page import Page
from app.lib.parameters import before
from app.lib.postgres import Pool
from app.lib.sql import load
from app.points.schemas import EndingPoints, PointsBalance, PointsEntry

sql = load("points")

# What a screen shows.
ENDING_MAX = 3


async def read_points(pool: Pool, buyer_id: str, now: datetime) -> PointsBalance:
    account = points_account(buyer_id)
    rows = await pool.fetch(sql.usable_points, [buyer_id], now)
    held = await pool.fetchval(balances_sql.read_balance, account, POINTS) or 0
    return PointsBalance(
        available=rows[0]["points"] if rows else 0,
        frozen=await pool.fetchval(sql.read_frozen, account, buyer_id),
        owed=max(0, -held),
        ending=[EndingPoints(**row) for row in await pool.fetch(sql.ending_lots, buyer_id, now, ENDING_MAX)],
    )


async def list_points(pool: Pool, buyer_id: str, cursor: str, limit: int) -> Page[PointsEntry]:
    rows = await pool.fetch(balances_sql.read_statement, points_account(buyer_id), before(cursor), limit + 1)
    entries = [
        PointsEntry(
            entry_id=str(row["entry_id"]),
            kind=row["posting_kind"],
            points=row["amount_minor"],
            balance_after=row["balance_after"],
            order_id=str(row["order_id"]) if row["order_id"] else None,
            created_at=row["created_at"],
        )
        for row in rows
    ]
    return Page.cut(entries, limit, lambda entry: entry.entry_id)
