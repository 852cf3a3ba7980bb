"""`/healthz` (the process lives), `/readyz` (it can take orders), `/metrics` (Prometheus).

Ready means that the ledger answers. Valkey's absence makes orders slower, not impossible, so it is named
but does not make the process unready.
"""

from __future__ import annotations

import asyncio
import contextlib

import asyncpg
import msgspec
from litestar import Response, get
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app.dependencies import ServicesDependency
from app.events_out.relay import measure_lag
from app.lib.errors import Unavailable
from app.lib.metrics import REGISTRY
from app.lib.valkey import GateDown

# A ledger that needs longer for `SELECT 1` takes no order in reasonable time either.
READY_TIMEOUT_S = 1.0
LEDGER_DOWN = (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Health(msgspec.Struct):
    status: str


class Readiness(msgspec.Struct):
    """`gate` is "down" while Valkey does not answer: orders then go straight to the ledger."""

    status: str
    ledger: str
    gate: str


@get("/healthz", sync_to_thread=False)
def healthz() -> Health:
    return Health("ok")


@get("/readyz")
async def readyz(services: ServicesDependency) -> Readiness:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await services.pool.fetchval("SELECT 1")
    except LEDGER_DOWN:
        raise Unavailable("Postgres does not answer", code="ledger_down") from None
    try:
        await services.valkey.command("PING")
        gate = "up"
    except GateDown:
        gate = "down"
    return Readiness("ready", "up", gate)


@get("/metrics")
async def prometheus(services: ServicesDependency) -> Response[bytes]:
    """What this process counts; the age of the oldest event that nobody has exported is asked of the ledger,
    so that it shows also when no worker lives. Without the ledger it stays as it was.
    """
    with contextlib.suppress(*LEDGER_DOWN):
        async with asyncio.timeout(READY_TIMEOUT_S):
            await measure_lag(services.pool)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


ROUTES = [healthz, readyz, prometheus]
