"""`POST /shopping/orders/{order_id}/payments`: the buyer chooses a channel.

Enters: the order, the channel, an Idempotency-Key. Leaves: an attempt, opened at the channel, and what the
buyer does next. Nearly always the order can be paid, and one statement makes the attempt; where it cannot, a
transaction finds out what to answer. Must hold: the attempt is committed before the channel is asked, and the
channel is asked outside any transaction with the attempt's id as reference; a crash in between is taken up by
`poll`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import msgspec

from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.errors import Conflict
from app.lib.idempotency import DOES_NOT_FIT, Answer, Once, identify, run_once
from app.lib.postgres import Connection
from app.lib.sql import load
from app.orders.errors import OrderNotFound
from app.payments.accept import accept_free_order
from app.payments.aftermath import Aftermath, follow_up
from app.payments.channels import Channel
from app.payments.provider import ChannelRefused
from app.payments.schemas import PaymentAction, PaymentReply, PaymentRequest
from app.payments.state import PaymentStatus, PayOrderStatus

sql = load("payments")

# Nobody tries so many times by hand; a client in a loop stops here.
ATTEMPTS_MAX = 20
CREATED = 201
# An attempt whose opening was not recorded by now (the call is limited to 5 s) is taken up by the sweep.
TAKE_UP_AFTER_S = 10
# The first question about an attempt nobody reported on: most buyers have paid by then.
FIRST_POLL_S = 30


class OrderNotPayable(Conflict):
    """Paid already, over, or a child whose parent is to be paid."""

    code = "order_not_payable"
    title = "This order cannot be paid as it stands"


async def pay(
    services: Services, buyer: Caller, order_id: int, request: PaymentRequest, key: str | None
) -> Answer:
    """Raises OrderNotFound, OrderNotPayable, ChannelUnknown, ChannelDown, ChannelRefused and
    IdempotencyKeyReused.
    """
    channel = services.channels.offering(request.channel, request.method)
    once = identify("payments", buyer.sub, key, (order_id, request))
    started = await _start(services, once, order_id, request)
    if started is not None:
        return Answer(CREATED, msgspec.json.encode(await _open(services, channel, started)))
    aftermath = Aftermath()

    async def effect(connection: Connection) -> Answer:
        payment_id = await _create(services, connection, buyer, order_id, request, aftermath)
        return Answer(CREATED, msgspec.json.encode(payment_id))

    kept = await run_once(services.pool, once, effect)
    await follow_up(services, aftermath)
    payment_id = msgspec.json.decode(kept.body, type=int | None)
    reply = PaymentReply(None, PaymentStatus.CAPTURED, None)
    if payment_id is not None:
        reply = await _open(services, channel, await _read(services, payment_id))
    return Answer(kept.status, msgspec.json.encode(reply), kept.replayed)


async def _start(
    services: Services, once: Once, order_id: int, request: PaymentRequest
) -> asyncpg.Record | None:
    """The new attempt's row; None, and nothing changed, where the order or the key is not as hoped for."""
    payment_id, now = services.ids.next(), services.clock.now()
    try:
        return await services.pool.fetchrow(
            sql.start_payment,
            once.digest,
            once.call,
            once.caller_id,
            once.request_hash,
            msgspec.json.encode(payment_id),
            payment_id,
            order_id,
            request.channel,
            request.method,
            now,
            now + timedelta(seconds=TAKE_UP_AFTER_S),
            ATTEMPTS_MAX,
            request.return_url,
        )
    except asyncpg.IntegrityConstraintViolationError as error:
        if error.constraint_name not in DOES_NOT_FIT:
            raise
        return None


async def _create(
    services: Services,
    connection: Connection,
    buyer: Caller,
    order_id: int,
    request: PaymentRequest,
    aftermath: Aftermath,
) -> int | None:
    """The new attempt's id; None where nothing was left to pay and the order is accepted at once."""
    orders = await connection.fetch(sql.lock_orders, order_id)
    order = next((row for row in orders if row["order_id"] == order_id), None)
    if order is None or order["buyer_id"] != buyer.sub:
        raise OrderNotFound()
    due = await connection.fetchrow(sql.lock_pay_order, order_id)
    now = services.clock.now()
    _check_payable(order, due)
    assert due is not None, "checked"
    if order["pay_deadline"] is not None and order["pay_deadline"] <= now:
        raise OrderNotPayable("the time to pay is over", order_status=order["status"])
    if due["amount_minor"] == 0:
        await accept_free_order(connection, order_id, now, aftermath)
        return None
    if await connection.fetchval(sql.count_attempts, order_id) >= ATTEMPTS_MAX:
        raise OrderNotPayable(f"{ATTEMPTS_MAX} attempts were made", code="too_many_attempts")
    payment_id = services.ids.next()
    await connection.execute(
        sql.insert_payment,
        payment_id,
        order_id,
        buyer.sub,
        request.channel,
        request.method,
        due["currency"],
        due["amount_minor"],
        request.return_url,
        now,
        now + timedelta(seconds=TAKE_UP_AFTER_S),
    )
    return payment_id


def _check_payable(order: asyncpg.Record, due: asyncpg.Record | None) -> None:
    if order["parent_id"] is not None:
        raise OrderNotPayable("pay its parent", order_id=str(order["parent_id"]))
    if order["status"] != "NOT_PAID" or due is None or due["status"] != PayOrderStatus.UNPAID:
        raise OrderNotPayable(
            f"the order is {order['status']}", order_status=order["status"], pay_status=due and due["status"]
        )


async def _open(services: Services, channel: Channel, payment: asyncpg.Record) -> PaymentReply:
    """The reply, from the attempt's row, so that a repeat gets the same one."""
    if payment["action"] is None:
        payment = await open_at_channel(services, channel, payment)
    if payment["action"] is None:
        raise ChannelRefused(payment["failure_reason"] or payment["status"], reason=payment["status"])
    # PENDING also in a repeat after it was paid: the same key gives the same body.
    action = msgspec.convert(payment["action"], PaymentAction)
    return PaymentReply(str(payment["payment_id"]), PaymentStatus.PENDING, action)


async def open_at_channel(services: Services, channel: Channel, payment: Any) -> asyncpg.Record:
    """Ask the channel to open a CREATED attempt, and record its answer. Raises ChannelDown.

    The reference is the attempt's id, so asking twice opens one.
    """
    payment_id, now = payment["payment_id"], services.clock.now()
    try:
        state = await channel.provider.authorise(
            str(payment_id),
            payment["amount_minor"],
            payment["currency"],
            manual_capture=channel.manual_capture,
            return_url=payment["return_url"],
        )
        first_poll = now + timedelta(seconds=FIRST_POLL_S)
        opened = await services.pool.fetchrow(
            sql.record_opened, payment_id, state.psp_reference, state.action, now, first_poll
        )
    except ChannelRefused as error:
        await services.pool.fetchrow(
            sql.move_payment, payment_id, PaymentStatus.FAILED, ["CREATED"], None, error.reason, now, None
        )
        opened = None
    return opened or await _read(services, payment_id)


async def _read(services: Services, payment_id: int) -> asyncpg.Record:
    payment = await services.pool.fetchrow(sql.read_payment, payment_id)
    assert payment is not None, "attempts are committed before anybody asks, and never deleted"
    return payment
