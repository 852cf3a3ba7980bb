"""How an order can be paid, and what the app says about it.

`paid_from_client` is never believed: it clears the cart and has the channel asked at once.
"""

from __future__ import annotations

import asyncpg

from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.sql import load
from app.orders.errors import OrderNotFound
from app.payments.poll import ask_soon
from app.payments.schemas import ChannelOffer, PaidFromClientReply, PayOffer
from app.payments.state import PayOrderStatus

sql = load("payments")


async def offer_channels(services: Services, buyer: Caller, order_id: int) -> PayOffer:
    """Raises OrderNotFound."""
    order = await _read(services, buyer, order_id)
    payable = order["status"] == "NOT_PAID" and order["pay_status"] == PayOrderStatus.UNPAID
    offers = [ChannelOffer(channel.name, list(channel.methods), [], []) for channel in services.channels]
    return PayOffer(
        str(order_id),
        order["status"],
        order["currency"],
        order["payable_minor"],
        order["pay_deadline"],
        offers if payable else [],
    )


async def note_paid(services: Services, buyer: Caller, order_id: int) -> PaidFromClientReply:
    """Raises OrderNotFound."""
    order = await _read(services, buyer, order_id)
    root_id = order["parent_id"] or order_id
    await services.pool.execute(sql.clear_cart, root_id, buyer.sub)
    await ask_soon(services, [root_id], services.clock.now())
    return PaidFromClientReply(str(order_id), order["status"])


async def _read(services: Services, buyer: Caller, order_id: int) -> asyncpg.Record:
    order = await services.pool.fetchrow(sql.read_order_to_pay, order_id, buyer.sub)
    if order is None:
        raise OrderNotFound()
    return order
