"""Reports that came at the same moment, judged together; and the usual ones carried out in a few statements.

Enters: reports, inside the caller's transaction. Leaves: what `decide` says about each. What is usual (the
order waits for its money, is paid, or knows already) is done for however many at once; the rest one by one,
in apply.py. Must hold: rows are locked in the global order (orders, what is due, attempts; each by id).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
import msgspec
import structlog

from app.lib.postgres import Connection
from app.lib.sql import load
from app.payments import ledger
from app.payments.accept import accept_orders
from app.payments.aftermath import Aftermath
from app.payments.channels import Channels
from app.payments.report import Decision, Facts, Report, decide
from app.payments.state import PaymentStatus, PayOrderStatus
from app.settings import Settings

log = structlog.get_logger()
sql = load("payments")

# The first question about an authorized attempt whose capture was not reported; then the wait doubles.
AUTHORIZED_POLL_S = 10
_encode = msgspec.json.Encoder().encode


class Judged(msgspec.Struct, frozen=True):
    """A report and what was decided about it; `payment` is the attempt's row, its order locked."""

    report: Report
    decision: Decision
    facts: Facts
    payment: asyncpg.Record

    @property
    def is_usual(self) -> bool:
        """Whether `carry_out_together` does it. Goods that are reserved only now may turn out to be gone."""
        if self.decision is Decision.PAY:
            return bool(self.payment["is_reserved"])
        return self.decision in (Decision.NOTHING, Decision.AUTHORIZE)


class Move(msgspec.Struct, frozen=True):
    """Of an attempt and of what is due, as `move_reported` of sql/queries/payments.sql reads it."""

    payment_id: int
    order_id: int
    was: PaymentStatus
    status: PaymentStatus
    due_was: PayOrderStatus
    due_status: PayOrderStatus
    psp_reference: str | None
    poll_at: datetime | None = None
    pay_deadline: datetime | None = None


async def judge_together(
    connection: Connection, channels: Channels, reports: Sequence[Report]
) -> list[Judged | None]:
    """Lock what these reports are about, and decide each. None: the attempt is not visible, or is the second
    one of an order, which must be judged by what the first one leaves. Raises ChannelUnknown."""
    rows = await connection.fetch(sql.lock_reported, [report.payment_id for report in reports])
    locked = {row["payment_id"]: row for row in rows}
    order_ids: set[int] = set()
    judged: list[Judged | None] = []
    for report in reports:
        row = locked.get(report.payment_id)
        if row is None or row["order_id"] in order_ids:
            judged.append(None)
            continue
        order_ids.add(row["order_id"])
        judged.append(_judge(report, row, channels))
    return judged


def _judge(report: Report, row: asyncpg.Record, channels: Channels) -> Judged:
    facts = Facts(
        channel=row["channel"],
        payment_status=PaymentStatus(row["status"]),
        amount_minor=row["amount_minor"],
        currency=row["currency"],
        pay_status=PayOrderStatus(row["pay_status"]),
        due_minor=row["due_minor"],
        counted_id=row["counted_id"],
        order_status=row["order_status"],
        manual_capture=channels.named(row["channel"]).manual_capture,
    )
    return Judged(report, decide(report, facts), facts, row)


async def carry_out_together(
    connection: Connection, settings: Settings, judged: Sequence[Judged], now: datetime, aftermath: Aftermath
) -> None:
    """Do what was decided, where it is usual, inside the transaction that holds the locks."""
    changes = [each for each in judged if each.decision is not Decision.NOTHING]
    if not changes:
        return
    moves = [_move(each, settings, now) for each in changes]
    moved = await connection.fetchrow(sql.move_reported, _encode(moves).decode(), now)
    assert moved is not None, "two counts"
    assert moved["attempts"] == moved["dues"] == len(moves), "locked, and judged in these states"
    paid = [each for each in changes if each.decision is Decision.PAY]
    if paid:
        await ledger.post_all(connection, [sale(each.payment) for each in paid])
        paid_by = {each.payment["order_id"]: each.report.payment_id for each in paid}
        await accept_orders(connection, paid_by, now, aftermath)
    for each in changes:
        note(each)


def note(judged: Judged) -> None:
    """One line in the log."""
    log.info(
        "payment_reported",
        payment_id=judged.report.payment_id,
        order_id=judged.payment["order_id"],
        status=judged.report.status,
        decision=judged.decision.name,
    )


def _move(each: Judged, settings: Settings, now: datetime) -> Move:
    where = (each.report.payment_id, each.payment["order_id"], each.facts.payment_status)
    pay_was, reference = each.facts.pay_status, each.report.psp_reference
    if each.decision is Decision.PAY:
        return Move(*where, PaymentStatus.CAPTURED, pay_was, PayOrderStatus.PAID, reference)
    return Move(
        *where,
        PaymentStatus.AUTHORIZED,
        pay_was,
        PayOrderStatus.AUTHORIZED,
        reference,
        poll_at=now + timedelta(seconds=AUTHORIZED_POLL_S),
        pay_deadline=now + timedelta(seconds=settings.pay_timeout_authorized_s),
    )


def sale(payment: asyncpg.Record) -> ledger.Posting:
    """The channel owes us what it captured; each shop has sold its share."""
    shares = zip(payment["shop_ids"], payment["shares_minor"], strict=True)
    order_id, channel = payment["order_id"], payment["channel"]
    return ledger.sale(payment["payment_id"], order_id, channel, payment["currency"], shares)
