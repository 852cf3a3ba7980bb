"""Paid orders spend what they froze, and earn points.

Inside the transaction in which the orders are accepted, under their locks. What a red packet had too much
goes back to its pool: it is good for one order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg

from app.balances.accounts import POINTS, frozen, packet_account, points_account, pool_account, spent
from app.balances.book import Account, Entry, Posting, book, lock_balances, merge, transfer
from app.lib.postgres import Connection
from app.lib.sql import load
from app.points.credit import Credit, credit, expiry
from app.points.rules import read_points_rules
from app.red_packets.state import RedPacketStatus, sources

sql = load("balances")
packets_sql = load("red_packets")


async def use(connection: Connection, root_ids: Sequence[int], now: datetime) -> None:
    """`root_ids`: orders (roots) that have just been paid."""
    rows = await connection.fetch(sql.read_taken_and_earned, root_ids)
    if not rows:
        return
    earners = {row["root_id"]: row for row in rows if row["kind"] == "earned"}
    taken = [row for row in rows if row["kind"] != "earned"]
    holders = [row["root_id"] for row in taken if row["kind"] == "red_packet"]
    packets = await connection.fetch(packets_sql.packets_of_orders, holders) if holders else []
    balances = await lock_balances(connection, _accounts(earners.values(), packets), opening=True)
    await _spend(connection, taken, packets, balances, now)
    if packets:
        await connection.execute(packets_sql.use_packets, holders, sources(RedPacketStatus.USED))
    if earners:
        await _earn(connection, earners, now)


def _accounts(earners: Iterable[asyncpg.Record], packets: Iterable[asyncpg.Record]) -> list[Account]:
    return [
        *((points_account(row["buyer_id"]), POINTS) for row in earners),
        *((packet_account(row["packet_id"]), row["currency"]) for row in packets),
        *((pool_account(row["pool_id"]), row["currency"]) for row in packets),
    ]


async def _spend(
    connection: Connection,
    taken: Iterable[asyncpg.Record],
    packets: Iterable[asyncpg.Record],
    balances: dict[Account, int],
    now: datetime,
) -> None:
    entries: dict[int, list[Entry]] = {}
    for row in taken:
        entries.setdefault(row["root_id"], []).extend(
            transfer(row["currency"], row["amount"], frozen(row["kind"]), spent(row["kind"]))
        )
    for packet in packets:
        account, currency = packet_account(packet["packet_id"]), packet["currency"]
        entries[packet["order_id"]] += transfer(
            currency, balances[account, currency], account, pool_account(packet["pool_id"])
        )
    await book(
        connection, [Posting("use", root_id, merge(of), root_id) for root_id, of in entries.items()], now
    )


async def _earn(connection: Connection, earners: Mapping[int, asyncpg.Record], now: datetime) -> None:
    expires_at = expiry(await read_points_rules(connection), now)
    earned = [
        Credit(root_id, row["buyer_id"], row["amount"], expires_at, root_id)
        for root_id, row in earners.items()
    ]
    await credit(connection, "points_earned", earned, now)
