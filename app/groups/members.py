"""What becomes of a slot: confirmed when its order is paid, freed when it is not.

Inside the transaction that moves the order, whose row the caller has locked; groups are locked after orders
and before stock.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg

from app.groups.ledger import GRACE, lock_groups, sql
from app.lib import outbox
from app.lib.postgres import Connection

# 72 bits: nobody finds a group that was not shared with them.
SHARE_CODE_BYTES = 9


class Lapsed(NamedTuple):
    """Groups that have free slots now, and orders whose stock is let go of."""

    group_ids: list[int]
    unlocked_ids: list[int]


async def confirm(connection: Connection, order_ids: Sequence[int], now: datetime) -> None:
    """These group orders are paid: who has a slot keeps it, who starts a group has started it.

    Paid for a group that is over, an order has no place: settle.py sends the money back.
    """
    orders = await connection.fetch(sql.read_group_orders, order_ids)
    groups = await lock_groups(connection, sorted({row["group_id"] for row in orders if row["group_id"]}))
    joined = [row for row in orders if row["group_id"] and groups[row["group_id"]].status == "OPEN"]
    started = [row for row in orders if row["group_id"] is None and _may_start(row, now)]
    placed = {row["order_id"] for row in (*joined, *started)}
    strays = [row["order_id"] for row in orders if row["order_id"] not in placed]
    events: list[outbox.Event] = []
    if joined:
        counted = await connection.fetch(sql.confirm_members, [row["order_id"] for row in joined], now)
        versions = {row["group_id"]: row["version"] for row in counted}
        for row in reversed(joined):  # the last one's is the group's own
            events.insert(0, _joined(row, versions[row["group_id"]]))
            versions[row["group_id"]] -= 1
    if started:
        ends = [min(now + timedelta(seconds=row["group_open_s"]), row["ends_at"]) for row in started]
        codes = [secrets.token_urlsafe(SHARE_CODE_BYTES) for _ in started]
        await connection.execute(
            sql.start_groups,
            [row["order_id"] for row in started],
            [row["campaign_id"] for row in started],
            [row["orders_to_succeed"] for row in started],
            codes,
            now,
            ends,
        )
        events += [_started(row, *more) for row, *more in zip(started, codes, ends, strict=True)]
    if strays:
        await connection.execute(sql.mark_strays, strays, now)
    await outbox.append(connection, events)


def _may_start(order: asyncpg.Record, now: datetime) -> bool:
    return bool(order["campaign_status"] == "PUBLISHED" and now < order["ends_at"] + GRACE)


async def lapse(connection: Connection, order_ids: Sequence[int]) -> Lapsed:
    """These group orders are canceled: their slots are free.

    A full group held the stock of all; with the first slot that lapses it lets go of it. Leaves the other
    members' orders: the caller returns their stock with that of the canceled ones, then calls `let_go`.
    """
    canceled = await connection.fetch(sql.cancel_group_orders, order_ids)
    if not canceled:  # nearly always: orders of no group
        return Lapsed([], [])
    groups = await lock_groups(connection, sorted({row["group_id"] for row in canceled if row["group_id"]}))
    unlocked = [group_id for group_id, group in groups.items() if group.stock_locked]
    if groups:
        await connection.execute(sql.leave_groups, list(groups))
    others = [member.order_id for group_id in unlocked for member in groups[group_id].members if member.held]
    return Lapsed(list(groups), others)


async def let_go(connection: Connection, order_ids: Sequence[int]) -> None:
    """Nothing is reserved for these orders any more."""
    if order_ids:
        await connection.execute(sql.hold_lines, order_ids, "group")


async def refunded(connection: Connection, order_ids: Sequence[int]) -> None:
    """The money of these members has gone back."""
    await connection.execute(sql.refunded_group_orders, order_ids)


def _started(order: asyncpg.Record, code: str, ends_at: datetime) -> outbox.Event:
    payload = {
        "group_id": str(order["order_id"]),
        "campaign_id": str(order["campaign_id"]),
        "buyer_id": order["buyer_id"],
        "slots": order["orders_to_succeed"],
        "share_code": code,
        "ends_at": ends_at,
    }
    return outbox.Event("group.started", order["order_id"], 1, payload)


def _joined(order: asyncpg.Record, version: int) -> outbox.Event:
    payload = {
        "group_id": str(order["group_id"]),
        "order_id": str(order["order_id"]),
        "buyer_id": order["buyer_id"],
        "slot": order["slot"],
    }
    return outbox.Event("group.joined", order["group_id"], version, payload)
