"""Applies what a channel reported about an attempt: the order is paid, or the money goes back.

Enters: a report, inside the caller's transaction. Leaves: the decision; the attempt, what is due, the order,
its stock and coupons, the double entries and the outbox moved on together. What is usual is done as for many
reports (together.py), the rest here. Must hold: rows are locked in the global order (orders, coupons, stock;
each by id); the same report twice changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import asyncpg
import msgspec

from app.bootstrap import Services
from app.groups import members
from app.lib.postgres import Connection
from app.lib.sql import load
from app.payments import ledger
from app.payments.accept import RESERVED_WITHIN_ON_HAND, accept_orders
from app.payments.aftermath import Aftermath
from app.payments.report import Decision, Report
from app.payments.state import PaymentStatus, PayOrderStatus, sources
from app.payments.together import carry_out_together, judge_together, note, sale
from app.refunds.give_back import give_back

sql = load("payments")


class PaymentNotVisible(Exception):
    """An attempt of this id is not there: its commit may still be on its way."""


class Case(msgspec.Struct, frozen=True):
    """A report about an attempt (`payment`, its row), under the locks of its order."""

    services: Services
    connection: Connection
    report: Report
    payment: asyncpg.Record
    now: datetime
    aftermath: Aftermath

    @property
    def order_id(self) -> int:
        order_id: int = self.payment["order_id"]
        return order_id


async def apply_report(
    services: Services, connection: Connection, report: Report, aftermath: Aftermath
) -> Decision:
    """Raises PaymentNotVisible."""
    (judged,) = await judge_together(connection, services.channels, [report])
    if judged is None:
        raise PaymentNotVisible(report.payment_id)
    now = services.clock.now()
    if judged.is_usual:
        await carry_out_together(connection, services.settings, [judged], now, aftermath)
    else:
        case = Case(services, connection, report, judged.payment, now, aftermath)
        await _carry_out(case, judged.decision)
        note(judged)
    return judged.decision


async def _carry_out(case: Case, decision: Decision) -> None:
    settings, now = case.services.settings, case.now
    match decision:
        case Decision.REJECT:
            return
        case Decision.FAIL:
            await _move(case, PaymentStatus.FAILED)
        case Decision.CANCEL:
            await _move(case, PaymentStatus.CANCELED)
        case Decision.CANCEL_COUNTED:
            await _move(case, PaymentStatus.CANCELED)
            await _move_due(case, PayOrderStatus.UNPAID)
            # The buyer gets as long as for a new order to pay another way.
            await _close_not_before(case, now + timedelta(seconds=settings.pay_timeout_s))
        case Decision.AUTHORIZE_SPARE:  # asked about at once: the poll gives it up at the channel
            await _move(case, PaymentStatus.AUTHORIZED, poll_at=now)
        case Decision.AUTHORIZE_ACCEPT | Decision.PAY:
            await _accept_or_return(case, decision)
        case Decision.RETURN_DOUBLE:
            await _return(case, "double_payment")
        case Decision.RETURN_LATE:
            await _reopen_or_return(case)
        case Decision.RETURN_WRONG:
            await _return(case, "wrong_amount")


async def _accept_or_return(case: Case, decision: Decision) -> None:
    """The order is paid; if goods that are reserved only now are gone, it is over and the money goes back."""
    try:
        async with case.connection.transaction():
            await _accept(case, decision)
    except asyncpg.CheckViolationError as error:
        if error.constraint_name != RESERVED_WITHIN_ON_HAND:
            raise
        await _close_not_before(case, case.now)  # so it closes now
        if decision is Decision.PAY:
            await _return(case, "late_payment")
        else:  # the close gives the authorization up
            await _move(case, PaymentStatus.AUTHORIZED, poll_at=case.now)


async def _accept(case: Case, decision: Decision) -> None:
    if decision is Decision.PAY:
        await _move(case, PaymentStatus.CAPTURED)
        await _move_due(case, PayOrderStatus.PAID)
        await ledger.post_all(case.connection, [sale(case.payment)])
    else:  # asked about at once: the poll captures it
        await _move(case, PaymentStatus.AUTHORIZED, poll_at=case.now)
        await _move_due(case, PayOrderStatus.AUTHORIZED)
    await case.connection.execute(sql.ask_others_soon, case.order_id, case.report.payment_id, case.now)
    paid_by = {case.order_id: case.report.payment_id}
    await accept_orders(case.connection, paid_by, case.now, case.aftermath)


async def _reopen_or_return(case: Case) -> None:
    """Money for an order that is over goes back, unless its buyer has agreed to another group for it."""
    exact = case.payment["amount_minor"] == case.payment["due_minor"]
    if exact and await members.reopen(case.connection, case.order_id, case.now):
        await _accept(case, Decision.PAY)
    else:
        await _return(case, "late_payment")


async def _return(case: Case, cause: str) -> None:
    """Captured money that counts for nothing: booked, and sent back whole."""
    await _move(case, PaymentStatus.CAPTURED)
    await _post_capture(case, {ledger.UNALLOCATED: -case.payment["amount_minor"]})
    case.aftermath.refund_ids.append(await give_back(case.services, case.connection, case.payment, cause))


async def _post_capture(case: Case, shares: dict[str, int]) -> None:
    payment = case.payment
    entries = {ledger.channel_account(payment["channel"]): payment["amount_minor"]} | shares
    await ledger.post(
        case.connection, "capture", payment["payment_id"], payment["currency"], case.order_id, entries
    )


async def _move(case: Case, target: PaymentStatus, *, poll_at: datetime | None = None) -> None:
    moved = await case.connection.fetchrow(
        sql.move_payment,
        case.report.payment_id,
        target,
        sources(target),
        case.report.psp_reference,
        case.report.reason,
        case.now,
        poll_at,
    )
    assert moved is not None, "the attempt is locked and was judged in this state"


async def _move_due(case: Case, target: PayOrderStatus) -> None:
    """What is due counts on this attempt, or, UNPAID again, on none."""
    payment_id = None if target is PayOrderStatus.UNPAID else case.report.payment_id
    moved = await case.connection.fetchrow(
        sql.move_pay_order, case.order_id, target, sources(target), payment_id
    )
    assert moved is not None, "what is due is locked and was judged in this state"


async def _close_not_before(case: Case, deadline: datetime) -> None:
    await case.connection.execute(sql.set_deadline, case.order_id, deadline)
