"""What must happen by a deadline, whether or not Redis is there: sweeps that need Postgres alone.

Each is a verb `(services, now, limit) -> rows settled`, run every second in a task of its own, so that
neither an error nor a slow one holds up the others. A full batch is followed by the next at once. Any number
of workers may sweep: rows are taken with SKIP LOCKED or by guarded updates. Two more look after the gate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec
import structlog

from app.bootstrap import Services
from app.campaigns.end import end_due
from app.campaigns.publish import publish_due
from app.coupons.expire import expire_coupons
from app.coupons.reconcile import reconcile_coupons
from app.events_in.apply import apply_waiting_events
from app.events_out import relay
from app.flash_sales.end import end_due_flash_sales
from app.groups.reconcile import reconcile_slots
from app.groups.settle import settle_due, settle_strays
from app.lib import metrics
from app.lib.valkey import GateDown
from app.lib.wait_or_stop import wait_or_stop
from app.orders import close
from app.payments.poll import poll_payments
from app.points.expire import expire_points
from app.red_packets.expire import expire_red_packets
from app.refunds import send
from app.stock.reconcile import reconcile
from app.stock.sweep import sweep_flight

log = structlog.get_logger()

Verb = Callable[[Services, datetime, int], Awaitable[int]]

PERIOD_S = 1.0
# About 20 ms of one transaction: long enough to be worth it, short enough to hold nobody up.
BATCH_MAX = 200
# One column of narrow rows, and a whole template's coupons end at one moment: about 20 ms, too.
COUPONS_BATCH_MAX = 1_000
# Groups with their members (docs/performance.md): beyond that a batch only holds its locks longer.
GROUPS_BATCH_MAX = 100
# Verbs that ask a provider over HTTP for each row: so many at once.
ASKING_BATCH_MAX = 50
# A reservation without a process is overdue after 15 s, and back on sale at most this much later.
FLIGHT_PERIOD_S = 5.0
# Reads through all of the gate and the ledger's rows of it (a thousand pools in 20 ms).
RECONCILE_PERIOD_S = 10.0


class Sweep(msgspec.Struct, frozen=True):
    name: str
    verb: Verb
    batch_max: int = BATCH_MAX
    period_s: float = PERIOD_S


async def end_flash_sales(services: Services, now: datetime, limit: int) -> int:
    return await end_due_flash_sales(services.pool, services.gate, now, limit)


async def measure_outbox_lag(services: Services, _now: datetime, _limit: int) -> int:
    await relay.measure_lag(services.pool)
    return 0


async def settle_flight(services: Services, _now: datetime, _limit: int) -> int:
    """Reservations whose process died before its commit."""
    return await sweep_flight(services.valkey, services.gate, services.pool)


async def correct_gate(services: Services, _now: datetime, _limit: int) -> int:
    """What the gate was not told because it was down. One that is still down is corrected later."""
    try:
        stock = await reconcile(services.valkey, services.gate, services.pool)
        coupons = await reconcile_coupons(services.valkey, services.pool)
        slots = await reconcile_slots(services.valkey, services.pool, services.clock)
        return len(stock) + len(coupons) + len(slots)
    except GateDown:
        return 0


SWEEPS = [
    Sweep("close_due_orders", close.close_due),
    Sweep("close_due_orders_with_attempts", close.close_due_with_attempts, ASKING_BATCH_MAX),
    Sweep("end_flash_sales", end_flash_sales),
    Sweep("publish_campaigns", publish_due),
    Sweep("end_campaigns", end_due),
    Sweep("expire_coupons", expire_coupons, COUPONS_BATCH_MAX),
    Sweep("settle_groups", settle_due, GROUPS_BATCH_MAX),
    Sweep("settle_strays", settle_strays),
    Sweep("apply_events", apply_waiting_events),
    Sweep("poll_payments", poll_payments, ASKING_BATCH_MAX),
    Sweep("send_refunds", send.send_due_refunds, send.DUE_BATCH_MAX),
    Sweep("expire_points", expire_points),
    Sweep("expire_red_packets", expire_red_packets),
    Sweep("settle_flight", settle_flight, period_s=FLIGHT_PERIOD_S),
    Sweep("correct_gate", correct_gate, period_s=RECONCILE_PERIOD_S),
    Sweep("prune_outbox", relay.prune, 1_000),
    Sweep("measure_outbox_lag", measure_outbox_lag),
]


async def sweep_once(services: Services, sweep: Sweep) -> int:
    """Run one sweep until nothing is left; returns the rows settled. Raises what the verb raises."""
    settled = 0
    while True:
        count = await sweep.verb(services, services.clock.now(), sweep.batch_max)
        metrics.SWEPT.labels(sweep.name).inc(count)
        settled += count
        if count < sweep.batch_max:
            return settled


class Sweeper:
    """Runs the sweeps from `start` to `stop`; `stop` lets those that run finish."""

    def __init__(self, services: Services, sweeps: Sequence[Sweep]) -> None:
        self._services = services
        self._sweeps = sweeps
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run_for_ever(sweep), name=sweep.name) for sweep in self._sweeps
        ]

    async def _run_for_ever(self, sweep: Sweep) -> None:
        while not self._stopping.is_set():
            try:
                await sweep_once(self._services, sweep)
            except Exception as error:
                metrics.SWEEP_FAILURES.labels(sweep.name).inc()
                log.warning("sweep_failed", sweep=sweep.name, error=repr(error))
            await wait_or_stop(self._stopping, sweep.period_s)

    async def stop(self) -> None:
        self._stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks)
