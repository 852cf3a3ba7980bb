"""`POST /admin/orders/{order_id}/price_change`: a seller takes something off an order that is not paid.

Enters: the order of one shop, what is taken off, an Idempotency-Key. Leaves: its lines, it, its parent and
what is due changed in one transaction, the change on record. Must hold: nobody can pay the old price
afterwards: open attempts are called back before, and money that was on its way all the same goes back
(app/payments/report.py). The price can be lowered and put back, never above what the buyer agreed to.
"""

from __future__ import annotations

from datetime import datetime

import asyncpg
import msgspec

from app.bootstrap import Services
from app.lib import outbox
from app.lib.auth import Caller
from app.lib.idempotency import Answer, identify, run_once
from app.lib.ids import parse_id
from app.lib.postgres import Connection
from app.lib.sql import load
from app.orders.errors import OrderNotFound
from app.orders.state import OrderStatus
from app.payments.accept import accept_free_order
from app.payments.aftermath import Aftermath, follow_up
from app.payments.poll import void_open_payments
from app.payments.state import PayOrderStatus
from app.points.documents import PointsRules
from app.price_changes.errors import PaymentInProgress, PriceNotChangeable, SeveralShops
from app.price_changes.schemas import ChangedLine, PriceChangeReply, PriceChangeRequest
from app.price_changes.share import Line, share_change

sql = load("price_changes")

# The seller waits for it; the channels' own limit for a call is longer.
CHANNEL_WAIT_S = 3.0


class Family(msgspec.Struct, frozen=True):
    """The locked rows: the shop's order, and the one that is paid (its parent, or itself)."""

    order: asyncpg.Record
    root: asyncpg.Record
    due: asyncpg.Record


class Change(msgspec.Struct, frozen=True):
    """`amounts` is what is taken off each line from now on."""

    family: Family
    lines: list[Line]
    amounts: list[int]
    staff: Caller
    reason: str

    @property
    def order_id(self) -> int:
        order_id: int = self.family.order["order_id"]
        return order_id

    @property
    def before_minor(self) -> int:
        return sum(line.change_minor for line in self.lines)

    @property
    def more_minor(self) -> int:
        """What is taken off beyond the change before; below zero where the price goes up again."""
        return sum(self.amounts) - self.before_minor

    @property
    def due_minor(self) -> int:
        due_minor: int = self.family.root["payable_minor"] - self.more_minor
        return due_minor


async def change_price(
    services: Services, staff: Caller, order_id: str, wanted: PriceChangeRequest, key: str | None
) -> Answer:
    """Raises OrderNotFound, SeveralShops, PriceNotChangeable, PaymentInProgress, PriceChangeTooHigh,
    PriceChangeMismatch, IdempotencyKeyReused."""
    once = identify("price_change", staff.sub, key, (order_id, wanted))
    aftermath = Aftermath()

    async def effect(connection: Connection) -> Answer:
        reply = await _change(services, connection, staff, parse_id(order_id), wanted, aftermath)
        return Answer(200, msgspec.json.encode(reply))

    try:
        answer = await run_once(services.pool, once, effect)
    except PaymentInProgress as paying:
        if paying.members["pay_status"] != PayOrderStatus.UNPAID:
            raise
        await void_open_payments(services, [int(paying.members["order_id"])], CHANNEL_WAIT_S)
        answer = await run_once(services.pool, once, effect)
    await follow_up(services, aftermath)
    return answer


async def _change(
    services: Services,
    connection: Connection,
    staff: Caller,
    order_id: int,
    wanted: PriceChangeRequest,
    aftermath: Aftermath,
) -> PriceChangeReply:
    family = await _lock(connection, staff, order_id)
    lines = [Line(*row) for row in await connection.fetch(sql.read_lines, order_id)]
    change = Change(family, lines, share_change(lines, wanted), staff, wanted.reason)
    change_id, status = None, OrderStatus(family.order["status"])
    if change.amounts != [line.change_minor for line in lines]:
        await _check_nobody_pays(connection, family)
        change_id, now = services.ids.next(), services.clock.now()
        await _write(connection, change, services.prices.book.points)
        await _record(connection, change, change_id, now)
        if change.due_minor == 0:
            await accept_free_order(connection, family.root["order_id"], now, aftermath)
            status = OrderStatus.PENDING_SHIPMENT
    return _reply(change, change_id, status)


def _reply(change: Change, change_id: int | None, status: OrderStatus) -> PriceChangeReply:
    changed = [
        ChangedLine(str(line.line_id), amount, line.payable_minor(amount))
        for line, amount in zip(change.lines, change.amounts, strict=True)
    ]
    return PriceChangeReply(
        None if change_id is None else str(change_id),
        str(change.order_id),
        status,
        change.family.order["currency"],
        sum(change.amounts),
        sum(line.payable_minor for line in changed),
        changed,
    )


async def _lock(connection: Connection, staff: Caller, order_id: int) -> Family:
    """In the global order: the orders by id, then what is due."""
    orders = await connection.fetch(sql.lock_family, order_id)
    order = next((row for row in orders if row["order_id"] == order_id), None)
    if order is None or (staff.role == "merchant" and order["shop_id"] != staff.shop_id):
        raise OrderNotFound()
    if order["shop_id"] is None:
        raise SeveralShops(order_ids=[str(row["order_id"]) for row in orders if row["parent_id"]])
    root = next(row for row in orders if row["parent_id"] is None)
    if root["status"] != OrderStatus.NOT_PAID:
        raise PriceNotChangeable(f"the order is {order['status']}", order_status=order["status"])
    if (
        order["mode"] == "group"
    ):  # all members pay what the operator has passed, and settle at the price agreed
        raise PriceNotChangeable("a group's price is its campaign's", order_status=order["status"])
    due = await connection.fetchrow(sql.lock_due, root["order_id"])
    assert due is not None, "placing writes what is due with its order"
    return Family(order, root, due)


async def _check_nobody_pays(connection: Connection, family: Family) -> None:
    root_id, pay_status = family.root["order_id"], family.due["status"]
    paying = pay_status != PayOrderStatus.UNPAID or await connection.fetchval(sql.has_open_attempts, root_id)
    if paying:
        raise PaymentInProgress(order_id=str(root_id), pay_status=pay_status)


async def _write(connection: Connection, change: Change, points: PointsRules) -> None:
    """Points are earned for what the goods cost in money now; for freight and tax there are none."""
    root_id = change.family.root["order_id"]
    line_ids = [line.line_id for line in change.lines]
    await connection.execute(sql.change_lines, change.order_id, line_ids, change.amounts)
    goods_minor = await connection.fetchval(sql.goods_in_money, root_id)
    earned = points.earned(change.family.order["currency"], goods_minor)
    order_ids = sorted({change.order_id, root_id})
    changed = await connection.fetch(sql.change_orders, order_ids, change.more_minor, earned)
    due_minor = await connection.fetchval(sql.change_due, root_id, change.more_minor)
    assert due_minor == change.due_minor, "what is due is what the order costs"
    await outbox.append(connection, [_event(row, change) for row in changed])


async def _record(connection: Connection, change: Change, change_id: int, now: datetime) -> None:
    await connection.execute(
        sql.insert_price_change,
        change_id,
        change.order_id,
        change.staff.sub,
        change.staff.role,
        change.reason,
        change.before_minor,
        sum(change.amounts),
        change.family.order["payable_minor"],
        [
            {"line_id": str(line.line_id), "before_minor": line.change_minor, "after_minor": amount}
            for line, amount in zip(change.lines, change.amounts, strict=True)
        ],
        now,
    )


def _event(order: asyncpg.Record, change: Change) -> outbox.Event:
    payload = {
        "order_id": str(order["order_id"]),
        "parent_id": str(order["parent_id"]) if order["parent_id"] else None,
        "buyer_id": order["buyer_id"],
        "shop_id": order["shop_id"],
        "currency": order["currency"],
        "price_change_minor": order["price_change_minor"],
        "payable_minor": order["payable_minor"],
        "changed_by": change.staff.sub,
        "reason": change.reason,
    }
    return outbox.Event("order.price_changed", order["order_id"], order["version"], payload)
