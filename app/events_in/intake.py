"""Reports about payments that arrive at the same moment are stored and applied in one transaction.

Enters: an event whose signature was verified. Leaves: True once it is stored and applied; False where nothing
was done: it is known, its attempt is not visible yet, what it says is not usual, or something in its batch
failed; then it is taken in by itself (receive.py). Must hold: event and effect are one commit, so an event
has its effect once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

import msgspec
import structlog

from app.coupons.held import HeldCoupons
from app.events_in.schemas import InboundEvent, PaymentNotified
from app.lib.batching import Batcher
from app.lib.clock import Clock
from app.lib.metrics import INBOUND_EVENTS
from app.lib.postgres import Pool, transaction
from app.lib.sql import load
from app.payments.aftermath import Aftermath, tell_gate_and_caches
from app.payments.channels import Channels
from app.payments.report import Report
from app.payments.together import Judged, carry_out_together, judge_together
from app.settings import Settings
from app.stock.gate import Gate

log = structlog.get_logger()
sql = load("events_in")

# Everything under /event/ is signed with the same secrets, so it is one source.
SOURCE = "event"
# A transaction of so many reports takes about 20 ms. One at a time: what arrives meanwhile shares the next
# one, and two that run at once would only wait for each other's stock rows.
SIZE_MAX, LANES_MAX = 64, 1
# Three seconds of them; the sender repeats what is refused.
BACKLOG_MAX = 4_096
_encode = msgspec.json.Encoder().encode


class Arrival(msgspec.Struct, frozen=True):
    """An event about a payment; `body` is what was signed."""

    event: InboundEvent
    body: bytes
    report: Report


def report_of(event: PaymentNotified) -> Report:
    return Report(
        int(event.payment_id),
        event.status,
        event.amount_minor,
        event.currency,
        event.psp_reference,
        channel=event.channel,
    )


class Intake:
    """`stop` drains it."""

    def __init__(
        self,
        pool: Pool,
        clock: Clock,
        settings: Settings,
        channels: Channels,
        gate: Gate,
        coupons: HeldCoupons,
    ) -> None:
        self._pool, self._clock, self._settings = pool, clock, settings
        self._channels, self._gate, self._coupons = channels, gate, coupons
        self._batcher: Batcher[Arrival, bool] = Batcher(
            self._take_batch,
            name="events in",
            size_max=SIZE_MAX,
            lanes_max=LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def take(self, arrival: Arrival) -> bool:
        """Whether it is stored and applied. Raises Unavailable when too many wait."""
        return await self._batcher.submit(arrival)

    async def stop(self) -> None:
        await self._batcher.stop()

    async def _take_batch(self, arrivals: list[Arrival]) -> list[bool]:
        applied: set[str] = set()
        for together in _rounds({each.event.event_id: each for each in arrivals}.values()):
            try:
                applied |= await self._apply(together)
            except Exception as error:  # one of them, or the database: each finds out by itself
                log.warning("events_not_applied_together", events=len(together), error=repr(error))
        return [each.event.event_id in applied for each in arrivals]

    async def _apply(self, arrivals: list[Arrival]) -> set[str]:
        """The ids of the events that are stored and applied now."""
        aftermath, now = Aftermath(), self._clock.now()
        async with transaction(self._pool) as connection:
            all_judged = await judge_together(connection, self._channels, [each.report for each in arrivals])
            usual = {
                arrival.event.event_id: (arrival, judged)
                for arrival, judged in zip(arrivals, all_judged, strict=True)
                if judged is not None and judged.is_usual
            }
            rows = _encode([_row(arrival, judged, now) for arrival, judged in usual.values()]).decode()
            stored = [row["event_id"] for row in await connection.fetch(sql.store_applied, SOURCE, rows)]
            new = [usual[event_id] for event_id in stored]
            await carry_out_together(
                connection, self._settings, [judged for _, judged in new], now, aftermath
            )
        for arrival, _ in new:
            INBOUND_EVENTS.labels(arrival.event.type, "APPLIED").inc()
        await tell_gate_and_caches(self._gate, self._coupons, aftermath)
        return set(stored)


def _rounds(arrivals: Iterable[Arrival]) -> list[list[Arrival]]:
    """An attempt once a round; first what says the most, to which the rest has nothing to add."""
    rounds: list[list[Arrival]] = []
    seen: Counter[int] = Counter()
    for arrival in sorted(arrivals, key=lambda each: each.report.status != "captured"):
        turn = seen[arrival.report.payment_id]
        seen[arrival.report.payment_id] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(arrival)
    return rounds


def _row(arrival: Arrival, judged: Judged, now: datetime) -> dict[str, object]:
    """As `store_applied` reads it; the body goes in as it came."""
    event = arrival.event
    return {
        "event_id": event.event_id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "received_at": now,
        "body": msgspec.Raw(arrival.body),
        "note": judged.decision.name.lower(),
    }
