"""A paid order goes on: coupons spent, stock confirmed, `order.paid` told.

Enters: an unpaid order, locked by the caller, inside the caller's transaction. Leaves: it and its children
moved on. Must hold: one that has moved on already stays as it is; goods that are not there fail the whole.
"""

from __future__ import annotations

from datetime import datetime

import asyncpg

from app.coupons import claim as coupons
from app.lib import outbox
from app.lib.outbox import Event
from app.lib.postgres import Connection
from app.lib.sql import load
from app.payments.aftermath import Aftermath
from app.stock.scripts import PoolFact

sql = load("payments")


async def accept_order(
    connection: Connection, order_id: int, now: datetime, payment_id: int | None, aftermath: Aftermath
) -> None:
    """`payment_id` is the attempt that paid; None where nothing was to be paid."""
    accepted = await connection.fetch(sql.accept_orders, order_id, now)
    if not accepted:
        return
    aftermath.coupon_buyer_ids += await coupons.use(connection, order_id)
    pools = await connection.fetch(sql.confirm_stock, [order["order_id"] for order in accepted])
    aftermath.pools += [PoolFact(*pool) for pool in pools]
    await outbox.append(connection, [_paid_event(order, payment_id) for order in accepted])


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
