"""How groups end: they succeed when all their slots are paid, and fail when their time is over.

Groups that are due are settled together, a batch in one transaction, once, however many workers try: members'
orders are locked first, then the groups, then the stock. Success makes the orders trade orders and takes
their goods; failure asks every paid member's money back. A worker that dies has done all of a batch or
nothing of it, and the sweep comes again within a second. A group that cannot be settled is found by halving
its batch, and waits; the others go on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import structlog
from msgspec import Struct

from app.bootstrap import Services
from app.groups.decide import OUT_OF_STOCK, Case, decide, fail_without_any, without_goods
from app.groups.give_back import give_back
from app.groups.join_other import join_others
from app.groups.ledger import GRACE, checkout_sql, sql
from app.groups.members import let_go
from app.groups.state import GroupStatus
from app.lib import outbox
from app.lib.each_settled import each_settled
from app.lib.postgres import Connection, transaction
from app.lib.sql import load
from app.orders.move import move_orders
from app.orders.release import release_orders
from app.orders.return_stock import return_stock
from app.orders.state import OrderStatus
from app.payments.accept import confirm_stock
from app.payments.aftermath import Aftermath, follow_up
from app.payments.poll import void_open_payments
from app.seats.give import assign_seats
from app.seats.schemas import Seat

log = structlog.get_logger()
orders_sql = load("orders")

PAID_TOO_LATE = "paid_too_late"
# What stood in a group's way is seldom gone in a second, and a person needs longer to look.
RETRY_AFTER = timedelta(minutes=1)
# As when an unpaid order closes (app/orders/close.py): a channel that hangs holds no group up for longer.
CHANNEL_WAIT_S = 1.0


class Work(Struct):
    """A batch of groups that end now, all their rows locked."""

    services: Services
    connection: Connection
    now: datetime
    cases: list[Case]
    aftermath: Aftermath


async def settle_due(services: Services, now: datetime, limit: int) -> int:
    """Groups that are full, over, or of a withdrawn campaign. Returns how many were taken up, so that a full
    batch is followed by the next one; 0 where none of them could be settled now."""
    due = await services.pool.fetch(sql.due_groups, now - GRACE, now, limit)

    async def together(group_ids: Sequence[int]) -> int:
        await _ask_about_unpaid(services, group_ids)
        return await settle(services, group_ids, now)

    async def put_off(group_id: int) -> None:
        await services.pool.execute(sql.retry_group, group_id, now + RETRY_AFTER)

    settled = await each_settled("settle_groups", [row["group_id"] for row in due], together, put_off)
    return len(due) if settled else 0


async def _ask_about_unpaid(services: Services, group_ids: Sequence[int]) -> None:
    """Who has paid is a member, also if the notification was lost; the others cannot pay any more."""
    unpaid = await services.pool.fetch(sql.unpaid_with_attempts, group_ids)
    await void_open_payments(services, [row["order_id"] for row in unpaid], CHANNEL_WAIT_S)


async def settle_strays(services: Services, now: datetime, limit: int) -> int:
    """Members who paid for a group that was over: another group, or the money back. Returns how many."""
    strays = await services.pool.fetch(sql.read_strays, limit)

    async def together(order_ids: Sequence[int]) -> int:
        return await _settle_strays(services, order_ids, now)

    return await each_settled("settle_strays", [row["order_id"] for row in strays], together)


async def settle(services: Services, group_ids: Sequence[int], now: datetime) -> int:
    """How many of these groups have ended here and now."""
    aftermath = Aftermath()
    async with transaction(services.pool) as connection:
        cases = await _claim(connection, group_ids, now)
        if cases:
            await _end(Work(services, connection, now, cases, aftermath))
    await follow_up(services, aftermath)
    return len(cases)


async def _claim(connection: Connection, group_ids: Sequence[int], now: datetime) -> list[Case]:
    """Orders first, then the groups, as everywhere. Left out: a group that somebody else settles, one of
    whose members is paying or leaving just now, and one that somebody joined before it was locked."""
    claimed: dict[int, set[int]] = defaultdict(set)
    for row in await connection.fetch(sql.claim_members, group_ids):
        claimed[row["group_id"]].add(row["order_id"])
    groups = await connection.fetch(sql.lock_open_groups, list(claimed))
    endings = {row["group_id"]: ending for row in groups if (ending := decide(row, now))}
    members = defaultdict(list)
    for row in await connection.fetch(sql.read_members, list(endings)):
        members[row["group_id"]].append(row)
    return [
        Case(group_id, ending, members[group_id])
        for group_id, ending in endings.items()
        if {row["order_id"] for row in members[group_id]} <= claimed[group_id]
    ]


async def _end(work: Work) -> None:
    await _free_slots(work)
    full = [case for case in work.cases if case.ending.status == GroupStatus.SUCCEEDED]
    losers = without_goods(full, await _read_free(work, full))
    fail_without_any(full, losers)
    succeeding = [case for case in full if case.ending.status == GroupStatus.SUCCEEDED]
    failing = [case for case in work.cases if case.ending.status == GroupStatus.FAILED]
    versions = await _close_groups(work)
    winners = [row["order_id"] for case in succeeding for row in case.paid if row["order_id"] not in losers]
    seats = await _succeed(work, winners)
    await _fail(work, failing)
    reasons = {row["order_id"]: str(case.ending.fail_reason) for case in failing for row in case.paid}
    reasons |= dict.fromkeys(sorted(losers), OUT_OF_STOCK)
    await give_back(work.services, work.connection, reasons, work.now, work.aftermath)
    events = [_event(case, versions[case.group_id], losers, seats) for case in work.cases]
    await outbox.append(work.connection, events)
    log.info("groups_settled", succeeded=len(succeeding), failed=len(failing), without_goods=len(losers))


async def _free_slots(work: Work) -> None:
    """Members who have not paid are out: what is paid for them from here on comes too late and goes back.

    Their stock returns, and where they had kept a full group's stock locked, all of it. Every pool that the
    batch touches is locked before, at once, so that it waits for others in one direction only.
    """
    pool_ids = {row["pool_id"] for case in work.cases for row in case.members}
    await work.connection.fetch(orders_sql.lock_pools, sorted(pool_ids))
    unpaid_ids = [order_id for case in work.cases for order_id in case.unpaid_ids]
    if not unpaid_ids:
        return
    released = await release_orders(work.connection, unpaid_ids, now=work.now, reason="group_over")
    work.aftermath.pools += released.pools
    members = defaultdict(list)
    for row in await work.connection.fetch(sql.read_members, [case.group_id for case in work.cases]):
        members[row["group_id"]].append(row)
    for case in work.cases:
        case.members = members[case.group_id]


async def _read_free(work: Work, succeeding: Sequence[Case]) -> dict[int, int]:
    """Units free in the pools that members take from; they are locked already."""
    pool_ids = sorted({row["pool_id"] for case in succeeding for row in case.paid})
    pools = await work.connection.fetch(checkout_sql.lock_pools, pool_ids) if pool_ids else ()
    return {pool_id: on_hand - reserved for pool_id, on_hand, reserved, _, _ in pools}


async def _close_groups(work: Work) -> dict[int, int]:
    """The groups' versions now."""
    rows = await work.connection.fetch(
        sql.settle_groups,
        [case.group_id for case in work.cases],
        [case.ending.status for case in work.cases],
        [case.ending.fail_reason for case in work.cases],
        [case.ending.short for case in work.cases],
        work.now,
    )
    assert len(rows) == len(work.cases), "the groups are locked and were open"
    work.aftermath.group_ids += [row["group_id"] for row in rows]
    return {row["group_id"]: row["version"] for row in rows}


async def _succeed(work: Work, winners: Sequence[int]) -> Mapping[int, list[Seat]]:
    """These members' orders are trade orders from here on, with their goods; of a show with their seats."""
    if not winners:
        return {}
    await move_orders(work.connection, winners, OrderStatus.PENDING_SHIPMENT, now=work.now)
    await work.connection.execute(sql.succeed_members, winners)
    work.aftermath.pools += await confirm_stock(work.connection, winners)
    return await assign_seats(work.connection, winners)


async def _fail(work: Work, failing: Sequence[Case]) -> None:
    """What was reserved for the members of these groups is free again."""
    order_ids = [row["order_id"] for case in failing for row in case.paid]
    work.aftermath.pools += await return_stock(work.connection, order_ids)
    await let_go(work.connection, order_ids)


def _event(case: Case, version: int, losers: set[int], seats: Mapping[int, list[Seat]]) -> outbox.Event:
    members = [_told(row, seats.get(row["order_id"])) for row in case.paid if row["order_id"] not in losers]
    payload: dict[str, Any] = {"group_id": str(case.group_id), "members": members}
    if case.ending.status == GroupStatus.SUCCEEDED:
        payload["completed_short"] = case.ending.short
        return outbox.Event("group.succeeded", case.group_id, version, payload)
    payload["reason"] = case.ending.fail_reason
    return outbox.Event("group.failed", case.group_id, version, payload)


def _told(member: asyncpg.Record, seats: list[Seat] | None) -> dict[str, Any]:
    """A member as the event tells it; `seats` of a show's."""
    told = {"order_id": str(member["order_id"]), "buyer_id": member["buyer_id"]}
    return told if seats is None else {**told, "seats": seats}


async def _settle_strays(services: Services, order_ids: Sequence[int], now: datetime) -> int:
    aftermath = Aftermath()
    async with transaction(services.pool) as connection:
        await connection.execute(sql.lock_orders, order_ids)
        rest = await join_others(connection, order_ids, now, aftermath)
        aftermath.pools += await return_stock(connection, rest)
        await let_go(connection, rest)
        reasons = dict.fromkeys(rest, PAID_TOO_LATE)
        await give_back(services, connection, reasons, now, aftermath)
    await follow_up(services, aftermath)
    return len(order_ids)
