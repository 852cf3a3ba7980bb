"""Work to be done now, handed to a worker through Redis (arq).

A job is only the fast way: the row in Postgres that it is about carries the deadline by which a sweep takes
it up, so a job may be lost, run twice, or run long after it was sent. `Jobs.send` therefore never fails. Jobs
are msgpack, not arq's default pickle: whoever can write to Redis must not be able to run code.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import redis.asyncio as redis
import structlog
from arq.connections import ArqRedis

from app.lib import metrics
from app.lib.valkey import GATE_ERRORS

log = structlog.get_logger()

QUEUE = "rushcart:jobs"

# An error is a job's result too; its text is all that anyone reads of it.
serialize = msgspec.msgpack.Encoder(enc_hook=repr).encode
deserialize = msgspec.msgpack.Decoder().decode


def open_queue(client: redis.Redis) -> ArqRedis:
    """arq's view of a client's connections."""
    return ArqRedis(
        pool_or_conn=client.connection_pool,
        job_serializer=serialize,
        job_deserializer=deserialize,
        default_queue_name=QUEUE,
    )


class Jobs:
    """Sends jobs to the workers."""

    def __init__(self, client: redis.Redis) -> None:
        self._queue = open_queue(client)

    async def send(self, name: str, *arguments: Any, job_id: str) -> bool:
        """Ask for `name(*arguments)` soon; False when Redis is not there or the same job waits already."""
        # shielded: arq uses WATCH, and redis-py leaks the connection when that is cancelled
        return await asyncio.shield(self._send(name, arguments, job_id))

    async def _send(self, name: str, arguments: tuple[Any, ...], job_id: str) -> bool:
        try:
            sent = await self._queue.enqueue_job(name, *arguments, _job_id=job_id)
        except GATE_ERRORS as error:
            metrics.JOBS.labels(name, "not_sent").inc()
            log.warning("job_not_sent", job=name, error=repr(error))
            return False
        metrics.JOBS.labels(name, "sent").inc()
        return sent is not None
