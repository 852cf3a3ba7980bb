"""Asks the channel about attempts: those nobody reported on, those cut off by a crash, those not wanted.

Enters: attempts whose `poll_at` is due. Leaves: the channel's answer, applied like an event. Must hold: the
channel is asked outside any transaction; what is asked is safe to ask twice, from two processes at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta

import asyncpg
import structlog

from app.bootstrap import Services
from app.lib.errors import AppError
from app.lib.postgres import transaction
from app.lib.sql import load
from app.payments.aftermath import Aftermath, follow_up
from app.payments.apply import apply_report
from app.payments.channels import Channel
from app.payments.pay import open_at_channel
from app.payments.provider import ChannelRefused, PaymentState
from app.payments.report import Decision, Report, ReportStatus
from app.payments.state import PaymentStatus, PayOrderStatus

log = structlog.get_logger()
sql = load("payments")

# The wait between two questions doubles from 10 s (webhooks are faster than that) to 5 minutes.
POLL_WAIT_FIRST_S, POLL_WAIT_MAX_S = 10.0, 300.0
# Questions under way at once: providers limit callers, and a hanging one must not take all connections.
ASKED_AT_ONCE_MAX = 16

_REPORTED: dict[str, ReportStatus] = {
    "refused": "failed",
    "authorized": "authorized",
    "captured": "captured",
    "canceled": "canceled",
}


async def poll_payments(services: Services, now: datetime, limit: int) -> int:
    """Sweep: how many attempts were asked about."""
    due = await services.pool.fetch(sql.take_due_payments, now, limit, POLL_WAIT_FIRST_S, POLL_WAIT_MAX_S)
    await ask_about(services, [row["payment_id"] for row in due])
    return len(due)


async def ask_soon(services: Services, order_ids: Sequence[int], at: datetime) -> None:
    """Have the channels asked about these orders' open attempts at `at`; unwanted ones are then given up."""
    await services.pool.execute(sql.ask_soon, order_ids, at)


async def ask_about(services: Services, payment_ids: Iterable[int]) -> None:
    """Ask the channels about these attempts; one that does not answer is asked again when it is due."""
    attempts = await services.pool.fetch(sql.read_attempts, list(payment_ids))
    await _for_each(attempts, lambda attempt: _ask(services, attempt))


async def _for_each(
    attempts: Sequence[asyncpg.Record], ask: Callable[[asyncpg.Record], Awaitable[object]]
) -> None:
    slots = asyncio.Semaphore(ASKED_AT_ONCE_MAX)

    async def guarded(attempt: asyncpg.Record) -> None:
        async with slots:
            try:
                await ask(attempt)
            except AppError as error:
                log.warning("channel_not_asked", payment_id=attempt["payment_id"], error=str(error))

    await asyncio.gather(*(guarded(attempt) for attempt in attempts))


async def _ask(services: Services, attempt: asyncpg.Record) -> None:
    channel = services.channels.named(attempt["channel"])
    reference = str(attempt["payment_id"])
    if not _is_wanted(attempt):
        await give_up(services, channel, attempt["payment_id"])
    elif attempt["status"] == PaymentStatus.CREATED:
        await open_at_channel(services, channel, attempt)
    elif channel.manual_capture and _waits_for_capture(attempt):
        await _capture(services, channel, attempt)
    else:
        await _apply_state(services, attempt["payment_id"], await channel.provider.status(reference))


def _waits_for_capture(attempt: asyncpg.Record) -> bool:
    counts: bool = attempt["counted_id"] == attempt["payment_id"]
    return counts and attempt["status"] == PaymentStatus.AUTHORIZED


def _is_wanted(attempt: asyncpg.Record) -> bool:
    """Its authorization counts, or its order still waits for somebody to pay."""
    if attempt["counted_id"] is not None:
        counts: bool = attempt["counted_id"] == attempt["payment_id"]
        return counts and attempt["order_status"] not in ("CANCELED", "CLOSED")
    waits: bool = attempt["order_status"] == "NOT_PAID" and attempt["pay_status"] == PayOrderStatus.UNPAID
    return waits and attempt["amount_minor"] == attempt["due_minor"]


async def _capture(services: Services, channel: Channel, attempt: asyncpg.Record) -> None:
    """Take the money of an accepted order; the reference is the attempt's id, so it is taken once."""
    reference = str(attempt["payment_id"])
    try:
        await channel.provider.capture(reference, attempt["amount_minor"], attempt["currency"])
    except ChannelRefused as error:  # captured already, or the authorization is gone: its state says which
        log.info("payment_not_captured", payment_id=attempt["payment_id"], reason=error.reason)
    await _apply_state(services, attempt["payment_id"], await channel.provider.status(reference))


async def give_up(services: Services, channel: Channel, payment_id: int) -> Decision:
    """Cancel an attempt at the channel and apply what comes out: canceled, or that it was paid before.

    Raises ChannelDown.
    """
    reference = str(payment_id)
    try:
        await channel.provider.cancel(reference)
    except ChannelRefused as error:  # captured meanwhile, or never heard of: its state says which
        log.info("payment_not_canceled", payment_id=payment_id, reason=error.reason)
    return await _apply_state(services, payment_id, await channel.provider.status(reference))


async def _apply_state(services: Services, payment_id: int, state: PaymentState | None) -> Decision:
    if state is None:  # never opened there: nobody can pay it
        report = Report(payment_id, "canceled", 0, "")
    elif state.status in _REPORTED:
        amount_minor = state.captured_minor if state.status == "captured" else state.amount_minor
        report = Report(
            payment_id, _REPORTED[state.status], amount_minor, state.currency, state.psp_reference
        )
    else:
        return Decision.NOTHING
    aftermath = Aftermath()
    async with transaction(services.pool) as connection:
        decision = await apply_report(services, connection, report, aftermath)
    await follow_up(services, aftermath)
    if decision is Decision.REJECT:
        log.error("payment_does_not_fit", payment_id=payment_id, status=report.status)
    return decision


async def void_open_payments(services: Services, order_ids: list[int], timeout_s: float) -> set[int]:
    """Before orders close unpaid: give up their attempts. Returns the orders that must stay open: the channel
    said paid or authorized, and their deadline has moved.

    A channel that does not answer within `timeout_s` does not hold up the close: its attempts stay due, and
    money that comes all the same goes back.
    """
    attempts = await services.pool.fetch(sql.read_open_attempts, order_ids)
    if not attempts:
        return set()
    try:
        async with asyncio.timeout(timeout_s):
            await _for_each(attempts, lambda attempt: _settle_before_close(services, attempt))
    except TimeoutError:
        log.warning("void_timed_out", attempts=len(attempts))
    now = services.clock.now()
    soon = now + timedelta(seconds=POLL_WAIT_FIRST_S)
    await ask_soon(services, order_ids, soon)
    return {row["order_id"] for row in await services.pool.fetch(sql.read_not_due, order_ids, now)}


async def _settle_before_close(services: Services, attempt: asyncpg.Record) -> None:
    channel = services.channels.named(attempt["channel"])
    state = await channel.provider.status(str(attempt["payment_id"]))
    newly_authorized = (
        state is not None and state.status == "authorized" and attempt["status"] != PaymentStatus.AUTHORIZED
    )
    if newly_authorized or (state is not None and state.status == "captured"):
        await _apply_state(services, attempt["payment_id"], state)
    else:
        await give_up(services, channel, attempt["payment_id"])
