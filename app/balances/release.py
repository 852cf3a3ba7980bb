"""Canceled orders give back what they froze: every point to its lot, every amount to its card or packet.

Inside the transaction in which the orders are canceled, under their locks. What has ended meanwhile is back
all the same, and its sweep ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from app.balances.accounts import frozen
from app.balances.book import Entry, Posting, book, lock_balances, merge, transfer
from app.balances.refill import refill_lots
from app.lib.postgres import Connection
from app.lib.sql import load
from app.red_packets.state import RedPacketStatus, sources

sql = load("balances")
packets_sql = load("red_packets")


async def give_back(connection: Connection, root_ids: Sequence[int], now: datetime) -> None:
    """`root_ids`: orders (roots) that have just been canceled."""
    rows = await connection.fetch(sql.read_taken, root_ids)
    if not rows:
        return
    balances = await lock_balances(connection, [(row["account"], row["currency"]) for row in rows])
    entries: dict[int, list[Entry]] = {}
    for row in rows:
        entries.setdefault(row["root_id"], []).extend(
            transfer(row["currency"], row["amount"], frozen(row["kind"]), row["account"])
        )
    await book(
        connection, [Posting("release", root_id, merge(of), root_id) for root_id, of in entries.items()], now
    )
    points = {(row["root_id"], row["account"]): row["amount"] for row in rows if row["kind"] == "points"}
    if points:
        await refill_lots(connection, points, balances)
    holders = [row["root_id"] for row in rows if row["kind"] == "red_packet"]
    if holders:
        await connection.execute(packets_sql.return_packets, holders, sources(RedPacketStatus.AVAILABLE))
