"""Points that an order had earned go, as its money goes back.

They are taken from the lot that they came in, then from what ends last. Those that are spent already are
owed: the account goes below zero, and the next points fill it first.
"""

from __future__ import annotations

from datetime import datetime

from app.balances.accounts import POINTS, issued, points_account
from app.balances.book import Posting, book, transfer
from app.lib.postgres import Connection
from app.lib.sql import load
from app.points.lots import Lot, spend

sql = load("points")


async def take_back(
    connection: Connection,
    root_id: int,
    buyer_id: str,
    refund_id: int,
    points: int,
    held: int,
    now: datetime,
) -> None:
    """Under the lock of the buyer's balance, which holds `held`."""
    entries = transfer(POINTS, points, points_account(buyer_id), issued("points"))
    await book(connection, [Posting("points_taken_back", refund_id, entries, root_id)], now)
    rows = await connection.fetch(sql.read_lots, [buyer_id])
    lots = [Lot(row["lot_id"], row["remaining"], row["expires_at"]) for row in rows]
    lots.sort(key=lambda lot: (lot.lot_id == root_id, lot.expires_at, lot.lot_id), reverse=True)
    taken = spend(lots, min(points, max(0, held)))
    if taken:
        lot_ids, parts = zip(*taken, strict=True)
        await connection.execute(sql.change_lots, lot_ids, [-part for part in parts])
