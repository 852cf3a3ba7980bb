"""How a group ends: it succeeds when all its slots are paid, and fails when its time is over.

Each group is settled in one transaction of its own, once, however many try: members' orders are locked first,
then the group. Success makes the orders trade orders and takes their goods; failure asks every paid member's
money back. A worker that dies has done all of it or nothing, and the sweep comes again within a second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import structlog
from msgspec import Struct

from app.bootstrap import Services
from app.groups.join_other import join_others
from app.groups.ledger import GRACE, checkout_sql, sql
from app.groups.members import let_go
from app.groups.state import GroupStatus
from app.lib import outbox
from app.lib.postgres import Connection, transaction
from app.orders.move import move_orders
from app.orders.release import release_orders
from app.orders.return_stock import return_stock
from app.orders.state import OrderStatus
from app.payments.accept import confirm_stock
from app.payments.aftermath import Aftermath, follow_up
from app.seats.give import assign_seats
from app.seats.schemas import Seat

log = structlog.get_logger()

NOT_FULL_IN_TIME = "not_full_in_time"
WITHDRAWN = "campaign_withdrawn"
ENDED_EARLY = "ended_early"
OUT_OF_STOCK = "out_of_stock"


class MembersMoved(Exception):
    """Somebody joined between reading and locking: try again."""


class Case(Struct):
    """A group that is being settled, with its members, all locked."""

    services: Services
    connection: Connection
    group: Any
    paid: Sequence[asyncpg.Record]
    unpaid_ids: list[int]
    now: datetime
    aftermath: Aftermath

    @property
    def group_id(self) -> int:
        group_id: int = self.group["group_id"]
        return group_id


async def settle_due(services: Services, now: datetime, limit: int) -> int:
    """Groups that are full, over, or of a withdrawn campaign; returns how many were settled."""
    due = await services.pool.fetch(sql.due_groups, now - GRACE, limit)
    settled = 0
    failed: list[Exception] = []
    for row in due:
        try:
            settled += await settle(services, row["group_id"], now)
        except Exception as error:  # one group's trouble holds no other up; the sweep counts and tells it
            failed.append(error)
    if failed:
        raise failed[0]
    return settled


async def settle(services: Services, group_id: int, now: datetime) -> bool:
    """Whether the group has ended here and now."""
    aftermath = Aftermath()
    try:
        async with transaction(services.pool) as connection:
            case = await _lock(services, connection, group_id, now, aftermath)
            ended = case is not None and await _decide(case)
    except MembersMoved:
        return False  # the next sweep
    await follow_up(services, aftermath)
    return ended


async def _lock(
    services: Services, connection: Connection, group_id: int, now: datetime, aftermath: Aftermath
) -> Case | None:
    """Orders first, then the group, as everywhere. None when it has ended already."""
    known = [row["order_id"] for row in await connection.fetch(sql.read_members, [group_id])]
    await connection.execute(sql.lock_orders, known)
    await connection.fetch(sql.lock_groups, [group_id])
    members = await connection.fetch(sql.read_members, [group_id])
    if not {row["order_id"] for row in members} <= set(known):
        raise MembersMoved
    group = await connection.fetchrow(sql.read_group, group_id)
    if group is None or group["status"] != GroupStatus.OPEN:
        return None
    paid = [row for row in members if row["status"] == "PAID"]
    unpaid_ids = [row["order_id"] for row in members if row["status"] == "UNPAID"]
    return Case(services, connection, group, paid, unpaid_ids, now, aftermath)


async def _decide(case: Case) -> bool:
    group, now = case.group, case.now
    if group["members_paid"] == group["slots"]:
        await _succeed(case, short=False)
        return True
    withdrawn = group["campaign_status"] == "ENDED" and group["ended_at"] < group["campaign_ends_at"]
    if not withdrawn and now < group["ends_at"] + GRACE:
        return False
    enough = group["complete_from_bp"] is not None and (
        group["members_paid"] * 10_000 >= group["slots"] * group["complete_from_bp"]
    )
    if withdrawn:
        await _fail(case, WITHDRAWN)
    elif group["ended_early"]:
        await _fail(case, ENDED_EARLY)
    elif enough:
        await _succeed(case, short=True)
    else:
        await _fail(case, NOT_FULL_IN_TIME)
    return True


async def _succeed(case: Case, *, short: bool) -> None:
    connection, now = case.connection, case.now
    await _cancel_unpaid(case)
    losers = await _without_stock(case)
    winners = [row["order_id"] for row in case.paid if row["order_id"] not in losers]
    version = await _end(case, GroupStatus.SUCCEEDED, None, short=short)
    await move_orders(connection, winners, OrderStatus.PENDING_SHIPMENT, now=now)
    await connection.execute(sql.succeed_members, winners)
    case.aftermath.pools += await confirm_stock(connection, winners)
    seats = await assign_seats(connection, winners)
    if losers:
        await _refund(case, losers, OUT_OF_STOCK)
    members = [_told(row, seats.get(row["order_id"])) for row in case.paid if row["order_id"] not in losers]
    payload = {"group_id": str(case.group_id), "completed_short": short, "members": members}
    await outbox.append(connection, [outbox.Event("group.succeeded", case.group_id, version, payload)])


def _told(member: asyncpg.Record, seats: list[Seat] | None) -> dict[str, Any]:
    """A member as the event tells it; `seats` of a show's."""
    told = {"order_id": str(member["order_id"]), "buyer_id": member["buyer_id"]}
    return told if seats is None else {**told, "seats": seats}


async def _without_stock(case: Case) -> list[int]:
    """Whose goods are not there: who paid first has them, then by order id. None where they are reserved."""
    wanting = [row for row in case.paid if row["reserve_on"] != "place"]
    wanting.sort(key=lambda row: (row["paid_at"], row["order_id"]))
    if not wanting:
        return []
    free: dict[int, int] = defaultdict(int)
    pool_ids = sorted({row["pool_id"] for row in case.paid})
    for pool_id, on_hand, reserved, _, _ in await case.connection.fetch(checkout_sql.lock_pools, pool_ids):
        free[pool_id] = on_hand - reserved
    losers = []
    for row in wanting:
        if free[row["pool_id"]] >= row["quantity"]:
            free[row["pool_id"]] -= row["quantity"]
        else:
            losers.append(row["order_id"])
    return losers


async def _fail(case: Case, reason: str) -> None:
    await _cancel_unpaid(case)
    paid_ids = [row["order_id"] for row in case.paid]
    version = await _end(case, GroupStatus.FAILED, reason, short=False)
    case.aftermath.pools += await return_stock(case.connection, paid_ids)
    await let_go(case.connection, paid_ids)
    await _refund(case, paid_ids, reason)
    payload = {
        "group_id": str(case.group_id),
        "reason": reason,
        "members": [{"order_id": str(row["order_id"]), "buyer_id": row["buyer_id"]} for row in case.paid],
    }
    await outbox.append(case.connection, [outbox.Event("group.failed", case.group_id, version, payload)])


async def _cancel_unpaid(case: Case) -> None:
    """What is paid for them from here on comes too late and goes back."""
    if case.unpaid_ids:
        released = await release_orders(case.connection, case.unpaid_ids, now=case.now, reason="group_over")
        case.aftermath.pools += released.pools
        case.paid = [row for row in await case.connection.fetch(sql.read_members, [case.group_id])]


async def _end(case: Case, status: GroupStatus, reason: str | None, *, short: bool) -> int:
    version: int | None = await case.connection.fetchval(
        sql.settle_group, case.group_id, status, case.now, reason, short
    )
    assert version is not None, "the group is locked and was open"
    case.aftermath.group_ids.append(case.group_id)
    log.info("group_settled", group_id=case.group_id, status=status, reason=reason)
    return version


async def _refund(case: Case, order_ids: Sequence[int], reason: str) -> None:
    case.aftermath.refund_ids += await refund_members(
        case.services, case.connection, order_ids, case.now, reason
    )
    await case.connection.execute(sql.leave_strays, list(order_ids))


async def refund_members(
    services: Services, connection: Connection, order_ids: Sequence[int], now: datetime, reason: str
) -> list[int]:
    """All that these paid members have paid goes back. Leaves the refunds' ids."""
    refund_ids = [services.ids.next() for _ in order_ids]
    rows = await connection.fetch(sql.refund_members, list(order_ids), refund_ids, now, reason)
    return [row["refund_id"] for row in rows]


async def settle_strays(services: Services, now: datetime, limit: int) -> int:
    """Members who paid for a group that was over: another group, or the money back. Returns how many."""
    strays = [row["order_id"] for row in await services.pool.fetch(sql.read_strays, limit)]
    if not strays:
        return 0
    aftermath = Aftermath()
    async with transaction(services.pool) as connection:
        await connection.execute(sql.lock_orders, strays)
        rest = await join_others(connection, strays, now, aftermath)
        aftermath.pools += await return_stock(connection, rest)
        await let_go(connection, rest)
        aftermath.refund_ids += await refund_members(services, connection, rest, now, "paid_too_late")
    await follow_up(services, aftermath)
    return len(strays)
