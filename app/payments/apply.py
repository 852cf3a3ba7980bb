"""Applies what a channel reported about an attempt: the order is paid, or the money goes back.

Enters: a report, inside the caller's transaction. Leaves: the decision; the attempt, what is due, the order,
its stock and coupons, the double entries and the outbox moved on together. Must hold: rows are locked in the
global order (orders, coupons, stock; each by id); the same report twice changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
import structlog

from app.bootstrap import Services
from app.lib import outbox
from app.lib.outbox import Event
from app.lib.postgres import Connection
from app.lib.sql import load
from app.payments import ledger
from app.payments.aftermath import Aftermath
from app.payments.report import Decision, Facts, Report, decide
from app.payments.state import PaymentStatus, PayOrderStatus, sources
from app.refunds.give_back import give_back
from app.stock.scripts import PoolFact

log = structlog.get_logger()
sql = load("payments")

# The first question about an authorized attempt whose capture was not reported; then the wait doubles.
AUTHORIZED_POLL_S = 10


class PaymentNotVisible(Exception):
    """An attempt of this id is not there: its commit may still be on its way."""


async def apply_report(
    services: Services, connection: Connection, report: Report, aftermath: Aftermath
) -> Decision:
    """Raises PaymentNotVisible."""
    known = await connection.fetchrow(sql.read_payment, report.payment_id)
    if known is None:
        raise PaymentNotVisible(report.payment_id)
    orders = await connection.fetch(sql.lock_orders, known["order_id"])
    due = await connection.fetchrow(sql.lock_pay_order, known["order_id"])
    payment = await connection.fetchrow(sql.lock_payment, report.payment_id)
    assert due is not None, "an attempt belongs to an order with something due"
    assert payment is not None, "attempts are never deleted"
    root = next(order for order in orders if order["order_id"] == payment["order_id"])
    facts = Facts(
        channel=payment["channel"],
        payment_status=PaymentStatus(payment["status"]),
        amount_minor=payment["amount_minor"],
        currency=payment["currency"],
        pay_status=PayOrderStatus(due["status"]),
        counted_id=due["payment_id"],
        order_status=root["status"],
        manual_capture=services.channels.named(payment["channel"]).manual_capture,
    )
    decision = decide(report, facts)
    await _carry_out(services, connection, decision, report, payment, aftermath)
    if decision is not Decision.NOTHING:
        log.info(
            "payment_reported",
            payment_id=report.payment_id,
            order_id=payment["order_id"],
            status=report.status,
            decision=decision.name,
        )
    return decision


async def _carry_out(
    services: Services,
    connection: Connection,
    decision: Decision,
    report: Report,
    payment: asyncpg.Record,
    aftermath: Aftermath,
) -> None:
    now, order_id = services.clock.now(), payment["order_id"]
    soon = now + timedelta(seconds=AUTHORIZED_POLL_S)
    match decision:
        case Decision.NOTHING | Decision.REJECT:
            return
        case Decision.FAIL:
            await _move(connection, report, PaymentStatus.FAILED, now)
        case Decision.CANCEL:
            await _move(connection, report, PaymentStatus.CANCELED, now)
        case Decision.CANCEL_COUNTED:
            await _move(connection, report, PaymentStatus.CANCELED, now)
            await _move_due(connection, order_id, PayOrderStatus.UNPAID, None)
            # The buyer gets as long as for a new order to pay another way.
            await connection.execute(
                sql.extend_deadline, order_id, now + timedelta(seconds=services.settings.pay_timeout_s)
            )
        case Decision.AUTHORIZE:
            await _move(connection, report, PaymentStatus.AUTHORIZED, now, poll_at=soon)
            await _move_due(connection, order_id, PayOrderStatus.AUTHORIZED, report.payment_id)
            deadline = now + timedelta(seconds=services.settings.pay_timeout_authorized_s)
            await connection.execute(sql.extend_deadline, order_id, deadline)
        case Decision.AUTHORIZE_SPARE:  # asked about at once: the poll gives it up at the channel
            await _move(connection, report, PaymentStatus.AUTHORIZED, now, poll_at=now)
        case Decision.AUTHORIZE_ACCEPT | Decision.PAY:
            await _accept_or_return(services, connection, decision, report, payment, aftermath)
        case Decision.RETURN_DOUBLE:
            await _return(services, connection, report, payment, "double_payment", aftermath)
        case Decision.RETURN_LATE:
            await _return(services, connection, report, payment, "late_payment", aftermath)


async def _accept_or_return(
    services: Services,
    connection: Connection,
    decision: Decision,
    report: Report,
    payment: asyncpg.Record,
    aftermath: Aftermath,
) -> None:
    """The order is paid; if goods that are reserved only now are gone, it is over and the money goes back."""
    try:
        async with connection.transaction():
            await _accept(services, connection, decision, report, payment, aftermath)
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != "stock_pool_reserved_within_on_hand":
            raise
        now = services.clock.now()
        await connection.execute(sql.extend_deadline, payment["order_id"], now)
        if decision is Decision.PAY:
            await _return(services, connection, report, payment, "late_payment", aftermath)
        else:  # the close that is due now gives the authorization up
            await _move(connection, report, PaymentStatus.AUTHORIZED, now, poll_at=now)


async def _accept(
    services: Services,
    connection: Connection,
    decision: Decision,
    report: Report,
    payment: asyncpg.Record,
    aftermath: Aftermath,
) -> None:
    now, order_id = services.clock.now(), payment["order_id"]
    if decision is Decision.PAY:
        await _move(connection, report, PaymentStatus.CAPTURED, now)
        await _move_due(connection, order_id, PayOrderStatus.PAID, report.payment_id)
        await _post_capture(connection, payment)
    else:  # asked about at once: the poll captures it
        await _move(connection, report, PaymentStatus.AUTHORIZED, now, poll_at=now)
        await _move_due(connection, order_id, PayOrderStatus.AUTHORIZED, report.payment_id)
    await connection.execute(sql.ask_others_soon, order_id, report.payment_id, now)
    await accept_order(connection, order_id, now, report.payment_id, aftermath)


async def accept_order(
    connection: Connection, order_id: int, now: datetime, payment_id: int | None, aftermath: Aftermath
) -> None:
    """Moves an unpaid order (locked by the caller) and its children on to shipment: coupons spent, stock
    confirmed, `order.paid` told. An order that has moved on already stays as it is.
    """
    accepted = await connection.fetch(sql.accept_orders, order_id, now)
    if not accepted:
        return
    coupons = await connection.fetch(sql.use_coupons, order_id)
    aftermath.coupon_buyer_ids += {coupon["buyer_id"] for coupon in coupons}
    pools = await connection.fetch(sql.confirm_stock, [order["order_id"] for order in accepted])
    aftermath.pools += [PoolFact(*pool) for pool in pools]
    await outbox.append(
        connection,
        [
            Event(
                "order.paid",
                order["order_id"],
                order["version"],
                {
                    "order_id": str(order["order_id"]),
                    "parent_id": str(order["parent_id"]) if order["parent_id"] else None,
                    "status": order["status"],
                    "currency": order["currency"],
                    "payable_minor": order["payable_minor"],
                    "payment_id": str(payment_id) if payment_id else None,
                },
            )
            for order in accepted
        ],
    )


async def _post_capture(connection: Connection, payment: asyncpg.Record) -> None:
    entries = {ledger.channel_account(payment["channel"]): payment["amount_minor"]}
    for row in await connection.fetch(sql.read_shares, payment["order_id"]):
        account = ledger.shop_account(row["shop_id"])
        entries[account] = entries.get(account, 0) - row["payable_minor"]
    await ledger.post(
        connection, "capture", payment["payment_id"], payment["currency"], payment["order_id"], entries
    )


async def _return(
    services: Services,
    connection: Connection,
    report: Report,
    payment: asyncpg.Record,
    cause: str,
    aftermath: Aftermath,
) -> None:
    """Captured money that counts for nothing: booked, and sent back whole."""
    await _move(connection, report, PaymentStatus.CAPTURED, services.clock.now())
    entries = {
        ledger.channel_account(payment["channel"]): payment["amount_minor"],
        ledger.UNALLOCATED: -payment["amount_minor"],
    }
    await ledger.post(
        connection, "capture", payment["payment_id"], payment["currency"], payment["order_id"], entries
    )
    aftermath.refund_ids.append(await give_back(services, connection, payment, cause))


async def _move(
    connection: Connection,
    report: Report,
    target: PaymentStatus,
    now: datetime,
    *,
    poll_at: datetime | None = None,
) -> None:
    moved = await connection.fetchrow(
        sql.move_payment,
        report.payment_id,
        target,
        sources(target),
        report.psp_reference,
        report.reason,
        now,
        poll_at,
    )
    assert moved is not None, "the attempt is locked and was judged in this state"


async def _move_due(
    connection: Connection, order_id: int, target: PayOrderStatus, payment_id: int | None
) -> None:
    moved = await connection.fetchrow(sql.move_pay_order, order_id, target, sources(target), payment_id)
    assert moved is not None, "what is due is locked and was judged in this state"
