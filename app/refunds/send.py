"""Sends refunds to the channel, until it has taken them and said what became of them.

Enters: refunds whose `send_at` is due. Leaves: SENT, or the outcome applied. Must hold: a refund is taken by
moving its `send_at` ahead in Postgres (so a crash only delays it); the channel is called outside any
transaction, with a reference that is the same after a time-out and new only after the channel said "failed".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
import structlog

from app.bootstrap import Services
from app.lib.errors import AppError
from app.lib.postgres import transaction
from app.lib.sql import load
from app.payments.aftermath import Aftermath, follow_up
from app.payments.channels import Channel
from app.payments.provider import ChannelRefused
from app.refunds.settle import RefundOutcome, reference_of, settle
from app.refunds.state import RefundStatus

log = structlog.get_logger()
sql = load("refunds")

# Longer than the channel's call may take (5 s), so that a live sender is not overtaken; doubling to an hour,
# after which a channel that is back is found soon enough.
SEND_WAIT_FIRST_S, SEND_WAIT_MAX_S = 10.0, 3600.0
# A channel reports a refund within seconds; after this it is asked.
ASK_AFTER_S = 60
# After a group sale hundreds are due at once, and a far provider answers in some 0.4 s: 80 a second, below
# the 100 a second at which providers begin to answer 429 (tried again, but only after its wait).
SENT_AT_ONCE_MAX = 32
# One sweep's: four rounds, so that one slow answer holds up few others, and so few that all have been sent
# before the first wait is over unless the channel is down.
DUE_BATCH_MAX = 4 * SENT_AT_ONCE_MAX


async def send_due_refunds(services: Services, now: datetime, limit: int) -> int:
    """Sweep: how many refunds were taken."""
    due = await services.pool.fetch(sql.take_due_refunds, now, limit, SEND_WAIT_FIRST_S, SEND_WAIT_MAX_S)
    await _send_all(services, due)
    return len(due)


async def send_refund(services: Services, refund_id: int) -> None:
    """Job: send one now, unless it is not due or somebody else has it."""
    due = await services.pool.fetch(
        sql.take_refund, services.clock.now(), refund_id, SEND_WAIT_FIRST_S, SEND_WAIT_MAX_S
    )
    await _send_all(services, due)


async def _send_all(services: Services, refunds: Sequence[asyncpg.Record]) -> None:
    slots = asyncio.Semaphore(SENT_AT_ONCE_MAX)

    async def send(refund: asyncpg.Record) -> None:
        async with slots:
            try:
                await _send(services, refund)
            except AppError as error:  # due again after its wait
                log.warning("refund_not_sent", refund_id=refund["refund_id"], error=str(error))

    await asyncio.gather(*(send(refund) for refund in refunds))


async def _send(services: Services, refund: asyncpg.Record) -> None:
    channel = services.channels.named(refund["channel"])
    refund_id, attempt = refund["refund_id"], refund["attempt"]
    if refund["status"] == RefundStatus.FAILED:  # the channel said no: only now a new reference
        attempt += 1
        if await services.pool.fetchrow(sql.begin_attempt, refund_id, attempt) is None:
            return
    reference = reference_of(refund_id, attempt)
    if refund["status"] == RefundStatus.SENT and await _ask(services, channel, refund, reference):
        return
    try:
        taken = await channel.provider.refund(
            str(refund["payment_id"]), reference, refund["amount_minor"], refund["currency"]
        )
    except ChannelRefused as error:
        await _apply(services, refund, reference, "failed", reason=error.reason)
        return
    now = services.clock.now()
    ask_at = now + timedelta(seconds=ASK_AFTER_S)
    await services.pool.execute(sql.record_sent, refund_id, attempt, taken.psp_reference, ask_at, now)


async def _ask(services: Services, channel: Channel, refund: asyncpg.Record, reference: str) -> bool:
    """Nothing was reported on a sent refund: what became of it? False: the channel does not know it."""
    state = await channel.provider.status(str(refund["payment_id"]))
    for known in state.refunds if state is not None else ():
        if known.reference == reference:
            status = "succeeded" if known.status == "succeeded" else "failed"
            await _apply(services, refund, reference, status, psp_reference=known.psp_reference)
            return True
    return False


async def _apply(
    services: Services,
    refund: asyncpg.Record,
    reference: str,
    status: str,
    *,
    psp_reference: str | None = None,
    reason: str | None = None,
) -> None:
    outcome = RefundOutcome(
        reference,
        "succeeded" if status == "succeeded" else "failed",
        refund["amount_minor"],
        refund["currency"],
        psp_reference,
        reason,
    )
    aftermath = Aftermath()
    async with transaction(services.pool) as connection:
        await settle(services, connection, outcome, aftermath)
    await follow_up(services, aftermath)
