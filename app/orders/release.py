"""Give back everything that unpaid orders hold, and end them: what canceling and closing share.

Enters: root orders. In one transaction, in the global lock order: the orders and their children become
CANCELED, what is due for them is closed, coupons, balances, limits, budgets and stock go back, and an event
for each leaves through the outbox. After the commit `tell` brings it to the gate and the caches; when they do
not answer, the reconciler does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from app.balances.release import give_back as give_balances_back
from app.bootstrap import Services
from app.coupons import claim as coupons
from app.flash_sales import claim as purchase_limits
from app.groups import members
from app.lib import outbox
from app.lib.postgres import Connection
from app.lib.sql import load
from app.orders.move import move_orders
from app.orders.return_stock import return_stock
from app.orders.state import OrderStatus
from app.payments.state import PayOrderStatus
from app.payments.state import sources as pay_order_sources
from app.promotions import claim as rule_uses
from app.stock.scripts import PoolFact

sql = load("orders")


class Released(NamedTuple):
    """What a release has changed. `limits`: (shop, activity, SKU, buyer, units); `group_ids`: of slots."""

    root_ids: list[int]
    pools: list[PoolFact]
    limits: list[tuple[str, str, str, str, int]]
    coupon_buyer_ids: list[str]
    group_ids: list[int]


async def release_orders(
    connection: Connection, root_ids: Sequence[int], *, now: datetime, reason: str
) -> Released:
    """Cancel these root orders inside the caller's transaction; those that are not unpaid are left out."""
    family = await connection.fetch(sql.lock_unpaid_families, root_ids)
    order_ids = [row["order_id"] for row in family]
    if not order_ids:
        return Released([], [], [], [], [])
    moved = await move_orders(connection, order_ids, OrderStatus.CANCELED, now=now, reason=reason)
    roots = [row["order_id"] for row in moved if row["parent_id"] is None]
    await connection.execute(sql.close_pay_orders, roots, pay_order_sources(PayOrderStatus.CLOSED))
    coupon_buyer_ids = await coupons.give_back(connection, roots, now)
    await give_balances_back(connection, roots, now)
    limits = await purchase_limits.give_back(connection, order_ids)
    await rule_uses.give_back(connection, roots)
    lapsed = await members.lapse(connection, roots)
    pools = await return_stock(connection, [*order_ids, *lapsed.unlocked_ids])
    await members.let_go(connection, lapsed.unlocked_ids)
    await outbox.append(connection, [canceled_event(row, now, reason) for row in moved])
    return Released(roots, pools, limits, coupon_buyer_ids, lapsed.group_ids)


def canceled_event(order: asyncpg.Record, now: datetime, reason: str) -> outbox.Event:
    payload = {
        "order_id": str(order["order_id"]),
        "parent_id": str(order["parent_id"]) if order["parent_id"] else None,
        "buyer_id": order["buyer_id"],
        "shop_id": order["shop_id"],
        "reason": reason,
        "canceled_at": now,
    }
    return outbox.Event("order.canceled", order["order_id"], order["version"], payload)


async def tell(services: Services, released: Released) -> None:
    """After the commit, to the gate and the cached coupons. Never fails: what is not told is found later."""
    await services.gate.settle_pools(released.pools)
    await services.gate.release_limits(released.limits)
    await services.coupons.forget(released.coupon_buyer_ids)
    if released.group_ids:
        await services.joining.slots.load(released.group_ids)
