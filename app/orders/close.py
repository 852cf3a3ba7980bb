"""Unpaid orders close when their time is over: two sweeps, both set-based, safe in any number of workers.

Most due orders have no attempt to pay and close at once (`close_due`). Those with one are first asked about
(`close_due_with_attempts`): events that came in before their order was visible are applied, the channel is
asked and told to void, an authorized payment moves the deadline on; then those that are still due close.
Money that comes after the close goes back, so a channel that does not answer holds nothing up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import structlog

from app.bootstrap import Services
from app.events_in.apply import apply_waiting_events
from app.lib.postgres import transaction
from app.lib.sql import load
from app.orders.release import release_orders, tell
from app.payments.poll import void_open_payments

log = structlog.get_logger()
sql = load("orders")

NOT_PAID_IN_TIME = "not_paid_in_time"
# A channel that hangs must not keep an order beyond two seconds after its time.
CHANNEL_WAIT_S = 1.0


async def close_due(services: Services, now: datetime, limit: int) -> int:
    """Close due orders that nobody has tried to pay; returns how many."""
    return await _close(services, await _due(services, now, limit, with_attempts=False), now)


async def close_due_with_attempts(services: Services, now: datetime, limit: int) -> int:
    """Close due orders after asking their channels; returns how many."""
    due = await _due(services, now, limit, with_attempts=True)
    if due:
        await apply_waiting_events(services, now, limit)
        await void_open_payments(services, due, CHANNEL_WAIT_S)
    return await _close(services, due, now)


async def _due(services: Services, now: datetime, limit: int, *, with_attempts: bool) -> list[int]:
    rows = await services.pool.fetch(sql.due_orders, now, limit, with_attempts)
    return [row["order_id"] for row in rows]


async def _close(services: Services, order_ids: Sequence[int], now: datetime) -> int:
    """One that the ledger's constraints refuse is named in the log and holds up no other."""
    try:
        return await _close_together(services, order_ids, now)
    except asyncpg.IntegrityConstraintViolationError as error:
        if len(order_ids) == 1:
            log.error("order_not_closed", order_id=order_ids[0], error=str(error))
            return 0
        return sum([await _close(services, [order_id], now) for order_id in order_ids])


async def _close_together(services: Services, order_ids: Sequence[int], now: datetime) -> int:
    if not order_ids:
        return 0
    async with transaction(services.pool) as connection:
        due = await connection.fetch(sql.lock_due_orders, order_ids, now)
        released = await release_orders(
            connection, [row["order_id"] for row in due], now=now, reason=NOT_PAID_IN_TIME
        )
    await tell(services, released)
    return len(released.root_ids)
