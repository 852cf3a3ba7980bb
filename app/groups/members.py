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
from app.groups.state import GroupOrderStatus
from app.lib import outbox
from app.lib.postgres import Connection

# 72 bits: nobody finds a group that was not shared with them.
SHARE_CODE_BYTES = 9
# Why an order was canceled that may be paid all the same: not by its buyer's will.
LAPSED = ["not_paid_in_time", "group_over"]


class Joined(NamedTuple):
    """Who has a slot and has paid; `late_for`: the group that the money came too late for."""

    order_id: int
    group_id: int
    buyer_id: str
    slot: int
    late_for: int | None = None


class Lapsed(NamedTuple):
    """Groups that have free slots now, and orders whose stock is let go of."""

    group_ids: list[int]
    unlocked_ids: list[int]


async def confirm(connection: Connection, order_ids: Sequence[int], now: datetime) -> None:
    """These group orders are paid: who has a slot keeps it, who starts a group has started it.

    Paid for a group that is over, an order has no place: settle.py sends the money back.
    """
    read = await connection.fetch(sql.read_group_orders, order_ids)
    orders = [row for row in read if row["status"] == GroupOrderStatus.UNPAID]  # not who has come too late
    groups = await lock_groups(connection, sorted({row["group_id"] for row in orders if row["group_id"]}))
    joined = [row for row in orders if row["group_id"] and groups[row["group_id"]].status == "OPEN"]
    started = [row for row in orders if row["group_id"] is None and _may_start(row, now)]
    placed = {row["order_id"] for row in (*joined, *started)}
    strays = [row["order_id"] for row in orders if row["order_id"] not in placed]
    events: list[outbox.Event] = []
    if joined:
        counted = await connection.fetch(sql.confirm_members, [row["order_id"] for row in joined], now)
        events += joined_events(
            [Joined(row["order_id"], row["group_id"], row["buyer_id"], row["slot"]) for row in joined],
            counted,
        )
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
        events += [_almost_full(row["order_id"], 2) for row in started if row["orders_to_succeed"] == 2]
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


async def reopen(connection: Connection, order_id: int, now: datetime) -> bool:
    """Money has come for a canceled order, locked by the caller: whether it counts for the order again.

    It does where the buyer has agreed to another group, and has not canceled: then the order waits for its
    money, and once it is paid a sweep finds it a place or sends the money back (settle.py).
    """
    return bool(await connection.fetch(sql.reopen_late, order_id, LAPSED, now))


async def refunded(connection: Connection, order_ids: Sequence[int]) -> None:
    """The money of these members has gone back."""
    rows = await connection.fetch(sql.refunded_group_orders, order_ids)
    await outbox.append(connection, [_refunded(row) for row in rows])


def joined_events(members: Sequence[Joined], counted: Sequence[asyncpg.Record]) -> list[outbox.Event]:
    """What is told of members who have paid, as their groups have counted them: in the order of `members`."""
    events = []
    for row in counted:
        those = [each for each in members if each.group_id == row["group_id"]]
        almost = row["slots_left"] == 1
        first = row["version"] - almost - len(those) + 1
        events += [_joined(each, first + n) for n, each in enumerate(those)]
        if almost:
            events.append(_almost_full(row["group_id"], row["version"]))
    return events


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


def _joined(member: Joined, version: int) -> outbox.Event:
    payload = {
        "group_id": str(member.group_id),
        "order_id": str(member.order_id),
        "buyer_id": member.buyer_id,
        "slot": member.slot,
        "late_for_group_id": None if member.late_for is None else str(member.late_for),
    }
    return outbox.Event("group.joined", member.group_id, version, payload)


def _almost_full(group_id: int, version: int) -> outbox.Event:
    """One slot is left, as far as is paid."""
    return outbox.Event("group.almost_full", group_id, version, {"group_id": str(group_id), "slots_left": 1})


def _refunded(member: asyncpg.Record) -> outbox.Event:
    payload = {
        "group_id": str(member["group_id"]),
        "order_id": str(member["order_id"]),
        "buyer_id": member["buyer_id"],
    }
    return outbox.Event("group.refunded", member["group_id"], member["version"], payload)
