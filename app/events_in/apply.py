"""Applies stored events: to the payment, refund, group or whatever machine their type belongs to.

Enters: a stored event. Leaves: it APPLIED (also when it said nothing new), REJECTED (it does not fit:
somebody must look), or WAITING for a row that is not visible yet. Must hold: effect and mark are one
transaction, so an event has its effect once, whichever process applies it and however often.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import msgspec
import structlog

from app.bootstrap import Services
from app.events_in.intake import report_of
from app.events_in.schemas import GroupUpdated, PaymentFailed, PaymentNotified, RefundNotified
from app.groups.update import GroupNotVisible, update
from app.lib.metrics import INBOUND_EVENTS
from app.lib.postgres import TRANSIENT_ERRORS, Connection, transaction
from app.lib.sql import load
from app.payments.aftermath import Aftermath, follow_up
from app.payments.apply import PaymentNotVisible, apply_report
from app.payments.report import Decision, Report
from app.refunds.settle import RefundNotVisible, RefundOutcome, Settled, settle

log = structlog.get_logger()
sql = load("events_in")

# A row that is not visible yet commits within a second or two; then the wait doubles. What has found nothing
# within a day belongs to another installation.
RETRY_FIRST_S, RETRY_MAX_S = 0.5, 60.0
WAITING_MAX_S = 86_400

Apply = Callable[[Services, Connection, dict[str, Any], Aftermath], Awaitable[tuple[str, str | None]]]
APPLIED = ("APPLIED", None)


async def _payment_notified(
    services: Services, connection: Connection, data: dict[str, Any], aftermath: Aftermath
) -> tuple[str, str | None]:
    report = report_of(msgspec.convert(data, PaymentNotified))
    return _explain(await apply_report(services, connection, report, aftermath))


async def _payment_failed(
    services: Services, connection: Connection, data: dict[str, Any], aftermath: Aftermath
) -> tuple[str, str | None]:
    event = msgspec.convert(data, PaymentFailed)
    report = Report(
        int(event.payment_id), "failed", 0, "", event.psp_reference, event.reason, channel=event.channel
    )
    return _explain(await apply_report(services, connection, report, aftermath))


async def _refund_notified(
    services: Services, connection: Connection, data: dict[str, Any], aftermath: Aftermath
) -> tuple[str, str | None]:
    event = msgspec.convert(data, RefundNotified)
    outcome = RefundOutcome(
        event.refund_id,
        event.status,
        event.amount_minor,
        event.currency,
        event.psp_reference,
        event.reason,
    )
    settled = await settle(services, connection, outcome, aftermath)
    return ("REJECTED", "does not fit the refund") if settled is Settled.REJECT else APPLIED


async def _group_updated(
    services: Services, connection: Connection, data: dict[str, Any], aftermath: Aftermath
) -> tuple[str, str | None]:
    event = msgspec.convert(data, GroupUpdated)
    now = services.clock.now()
    return "APPLIED", await update(connection, int(event.group_id), event.status, now, aftermath)


def _explain(decision: Decision) -> tuple[str, str | None]:
    if decision is Decision.REJECT:
        return "REJECTED", "does not fit the attempt: amount, currency, channel or state"
    return "APPLIED", decision.name.lower()


# By name: what its data must look like, and who applies it.
_READERS: dict[str, tuple[type[msgspec.Struct], Apply]] = {
    "payment_notified": (PaymentNotified, _payment_notified),
    "payment_authorized": (PaymentNotified, _payment_notified),
    "payment_captured": (PaymentNotified, _payment_notified),
    "payment_failed": (PaymentFailed, _payment_failed),
    "refund_notified": (RefundNotified, _refund_notified),
    "refund_succeeded": (RefundNotified, _refund_notified),
    "refund_failed": (RefundNotified, _refund_notified),
    "group_update": (GroupUpdated, _group_updated),
}


def reader(event_type: str) -> tuple[type[msgspec.Struct], Apply] | None:
    """Who reads a type: `payment_notified_cm`, `payment.captured` and so on; None for an unknown one."""
    return _READERS.get(event_type.removesuffix("_cm").replace(".", "_"))


async def apply_event(services: Services, source: str, event_id: str) -> str | None:
    """Apply one stored event; its status afterwards, or None when another process has it or has had it."""
    aftermath = Aftermath()
    async with transaction(services.pool) as connection:
        event = await connection.fetchrow(sql.lock_event, source, event_id)
        if event is None:
            return None
        now = services.clock.now()
        status, note, again_at = await _apply_locked(services, connection, event, now, aftermath)
        await connection.execute(sql.finish_event, source, event_id, status, note, again_at)
    await follow_up(services, aftermath)
    INBOUND_EVENTS.labels(event["type"], status).inc()
    if status == "REJECTED":
        log.error("event_rejected", source=source, event_id=event_id, note=note)
    return status


async def _apply_locked(
    services: Services, connection: Connection, event: asyncpg.Record, now: datetime, aftermath: Aftermath
) -> tuple[str, str | None, datetime | None]:
    known = reader(event["type"])
    assert known is not None, "only events with a reader are stored to be applied"
    _, apply = known
    try:
        status, note = await apply(services, connection, event["body"]["data"], aftermath)
    except (PaymentNotVisible, RefundNotVisible, GroupNotVisible) as missing:
        if now - event["received_at"] > timedelta(seconds=WAITING_MAX_S):
            return "REJECTED", f"{missing} was never seen", None
        return "WAITING", f"{missing} is not visible yet", _again_at(now, event["tries"])
    return status, note, None


def _again_at(now: datetime, tries: int) -> datetime:
    return now + timedelta(seconds=min(RETRY_FIRST_S * 2 ** min(tries, 16), RETRY_MAX_S))


async def apply_waiting_events(services: Services, now: datetime, limit: int) -> int:
    """Sweep: how many events were taken up. One that fails is put off and hinders no other."""
    due = await services.pool.fetch(sql.read_due_events, now, limit)
    for event in due:
        await apply_or_put_off(services, event["source"], event["event_id"], event["tries"])
    return len(due)


async def apply_or_put_off(services: Services, source: str, event_id: str, tries: int = 0) -> str | None:
    """Apply one event; if that ends in an error it stays stored and is due again later."""
    failure: BaseException
    try:
        return await apply_event(services, source, event_id)
    except TRANSIENT_ERRORS as error:
        log.warning("event_not_applied", source=source, event_id=event_id, error=repr(error))
        failure = error
    except Exception as error:  # a mistake of ours, or a channel that is not configured: parked, and seen
        log.exception("event_not_applied", source=source, event_id=event_id)
        failure = error
    again_at = _again_at(services.clock.now(), tries)
    await services.pool.execute(sql.put_off_event, source, event_id, repr(failure)[:200], again_at)
    return None
