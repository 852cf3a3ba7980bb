"""Paid orders go on: coupons and balances spent, points earned, stock confirmed, `order.paid` told.

Enters: unpaid orders, locked by the caller, inside the caller's transaction. Leaves: them and their children
moved on, however many in the same few statements. Must hold: one that has moved on already stays as it is;
goods that are not there fail the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg

from app.balances.use import use
from app.coupons import claim as coupons
from app.groups import members
from app.lib import outbox
from app.lib.errors import Conflict
from app.lib.outbox import Event
from app.lib.postgres import Connection
from app.lib.sql import load
from app.orders.state import OrderStatus
from app.payments.aftermath import Aftermath
from app.payments.state import PayOrderStatus, sources
from app.stock.scripts import PoolFact

sql = load("payments")

# What refuses goods that are not there.
RESERVED_WITHIN_ON_HAND = "stock_pool_reserved_within_on_hand"


async def accept_orders(
    connection: Connection, paid_by: Mapping[int, int | None], now: datetime, aftermath: Aftermath
) -> None:
    """`paid_by`: of each order (a root) the attempt that paid; None where nothing was to be paid."""
    order_ids = list(paid_by)
    accepted = await connection.fetch(sql.accept_orders, order_ids, now)
    if not accepted:
        return
    aftermath.coupon_buyer_ids += await coupons.use(connection, order_ids)
    await use(connection, order_ids, now)
    waiting = [order["order_id"] for order in accepted if order["status"] == OrderStatus.PENDING_GROUP]
    if waiting:
        await members.confirm(connection, waiting, now)
    going_on = [order["order_id"] for order in accepted if order["status"] != OrderStatus.PENDING_GROUP]
    aftermath.pools += await confirm_stock(connection, going_on)
    events = [_paid_event(order, paid_by[order["parent_id"] or order["order_id"]]) for order in accepted]
    await outbox.append(connection, events)


async def confirm_stock(connection: Connection, order_ids: Sequence[int]) -> list[PoolFact]:
    """The orders' goods leave the stock. Fails by a CHECK where they are not there."""
    return [PoolFact(*pool) for pool in await connection.fetch(sql.confirm_stock, order_ids)]


async def accept_free_orders(
    connection: Connection, order_ids: Sequence[int], now: datetime, aftermath: Aftermath
) -> None:
    """Nothing is to be paid for these orders (roots): they are paid."""
    for order_id in order_ids:
        await connection.fetchrow(
            sql.move_pay_order, order_id, PayOrderStatus.PAID, sources(PayOrderStatus.PAID), None
        )
    await accept_orders(connection, dict.fromkeys(order_ids), now, aftermath)


async def accept_free_order(
    connection: Connection, order_id: int, now: datetime, aftermath: Aftermath
) -> None:
    """The same for one. Raises Conflict (`out_of_stock`) where its goods are taken only now, and gone."""
    try:
        await accept_free_orders(connection, [order_id], now, aftermath)
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != RESERVED_WITHIN_ON_HAND:
            raise
        raise Conflict("goods that are taken when they are paid are gone", code="out_of_stock") from None


def _paid_event(order: asyncpg.Record, payment_id: int | None) -> Event:
    payload = {
        "order_id": str(order["order_id"]),
        "parent_id": str(order["parent_id"]) if order["parent_id"] else None,
        "status": order["status"],
        "currency": order["currency"],
        "payable_minor": order["payable_minor"],
        "payment_id": str(payment_id) if payment_id else None,
    }
    return Event("order.paid", order["order_id"], order["version"], payload)
