"""The relay: numbers what was committed to the outbox, and exports it to Redis Streams, one a topic.

At least once: the cursor moves on after Redis has taken the entries, so a crash between repeats some; each
carries its `event_id`. Nothing is skipped and one aggregate's events stay in order: the one relay (by an
advisory lock) gives each event its position only once it is there to be seen, in the order of writing, which
for one aggregate is the order of its versions, since both happen under its row lock. Any reader of the outbox
can follow the positions.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import redis.asyncio as redis
import structlog

from app.bootstrap import Services
from app.events_out.keys import stream_key
from app.lib import metrics
from app.lib.postgres import ACQUIRE_TIMEOUT_S, Connection, Pool
from app.lib.sql import load
from app.lib.wait_or_stop import wait_or_stop

log = structlog.get_logger()
sql = load("events_out")

READER = "redis_streams"
# A pipeline of 500 entries takes Redis about 5 ms.
BATCH_MAX = 500
# How far a reader may be behind before entries are trimmed unread: at 1,000 orders/s a minute and a half, in
# about 50 MB a topic. Whoever is away for longer reads the outbox itself.
STREAM_LENGTH_MAX = 100_000
POLL_S = 0.2
# How soon another worker takes over from a relay that died.
LEAD_RETRY_S = 1.0
# Readers of the outbox itself may be away for a week.
RETENTION = timedelta(days=7)


async def export_batch(connection: Connection, client: redis.Redis) -> int:
    """Export the next events; returns how many. Raises RedisError or a Postgres error; nothing is lost."""
    await connection.fetch(sql.number_new, BATCH_MAX)
    rows = await connection.fetch(sql.read_unexported, READER, BATCH_MAX)
    if not rows:
        return 0
    async with client.pipeline(transaction=False) as pipeline:
        for row in rows:
            entry: dict[str | bytes, str | int] = {
                "event_id": row["event_id"],
                "aggregate_id": row["aggregate_id"],
                "aggregate_version": row["aggregate_version"],
                "created_at": row["created_at"].isoformat(),
                "payload": row["payload"],
            }
            pipeline.xadd(stream_key(row["topic"]), entry, maxlen=STREAM_LENGTH_MAX, approximate=True)  # type: ignore[arg-type]
        await pipeline.execute()
    await connection.execute(sql.move_reader, READER, rows[-1]["position"])
    return len(rows)


async def export_all(services: Services) -> int:
    """Export what there is, unless another relay leads; returns how many."""
    exported = 0
    async with services.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        if await connection.fetchval(sql.try_lead):
            try:
                while count := await export_batch(connection, services.redis):
                    exported += count
            finally:
                await connection.reset()  # gives the lock back; the pool does not
    return exported


async def measure_lag(pool: Pool) -> None:
    """Bring the metric of the oldest event that is not exported up to date."""
    lag_s = await pool.fetchval(sql.measure_lag, READER)
    metrics.OUTBOX_LAG_SECONDS.set(max(lag_s or 0.0, 0.0))


async def prune(services: Services, now: datetime, limit: int) -> int:
    """Sweep: delete what every reader has had and nobody will ask for again; returns how many."""
    return len(await services.pool.fetch(sql.prune_exported, now - RETENTION, limit))


class Relay:
    """Exports from `start` to `stop`, whenever this process is the one that leads."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run_for_ever(), name="relay")

    async def _run_for_ever(self) -> None:
        while not self._stopping.is_set():
            try:
                # The lock belongs to this connection, and ends with it.
                async with self._services.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
                    if await connection.fetchval(sql.try_lead):
                        try:
                            await self._lead(connection)
                        finally:
                            await connection.reset()  # gives the lock back; the pool does not
            except Exception as error:  # Redis or Postgres is away, as a rule
                log.warning("relay_interrupted", error=repr(error))
            await wait_or_stop(self._stopping, LEAD_RETRY_S)

    async def _lead(self, connection: Connection) -> None:
        while not self._stopping.is_set():
            if await export_batch(connection, self._services.redis) < BATCH_MAX:
                await wait_or_stop(self._stopping, POLL_S)

    async def stop(self) -> None:
        """Finish the batch that is under way."""
        self._stopping.set()
        if self._task is not None:
            await self._task
