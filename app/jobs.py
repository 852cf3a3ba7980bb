"""The jobs that workers run, and arq's worker kept alive beside its Redis.

arq's worker ends with its Redis: `JobRunner` starts it again as soon as Redis answers. An exception ends a
job for good (arq's way): it is logged and counted, and the sweep that owns the job's row takes it up again.
Every job is safe to run twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import redis.asyncio as redis
import structlog
from arq import Retry
from arq.worker import Function, Worker, func

from app.bootstrap import Services
from app.lib import metrics
from app.lib.jobs import QUEUE, deserialize, open_queue, serialize
from app.lib.valkey import open_client
from app.refunds.send import send_refund

log = structlog.get_logger()

Job = Callable[..., Awaitable[object]]

# `async def verb(services, *arguments)`; its name is the job's.
JOBS: list[Job] = [send_refund]

# Sending a refund is one call of 5 s at most. A worker that was killed blocks its jobs for this long + 10 s,
# so it stays short.
JOB_TIMEOUT_S = 15
JOBS_AT_ONCE_MAX = 20
# A job that has crashed its worker so often is left to the sweep and to people.
JOB_TRIES_MAX = 5
# Three reads a second of an empty queue cost nothing and add 150 ms on average.
POLL_S = 0.3
# Redis is looked for again so often: "jobs work within a second or two of its return".
RESTART_WAIT_S = 0.5
# Longer than JOB_TIMEOUT_S: a stop waits for the jobs that run.
DRAIN_S = 20.0


class JobRunner:
    """arq's worker, started again whenever it ends."""

    def __init__(self, services: Services, jobs: Sequence[Job]) -> None:
        self._services = services
        self._functions = [_as_function(job) for job in jobs]
        self._worker: Worker | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._functions:
            self._task = asyncio.create_task(self._run_for_ever(), name="jobs")

    async def _run_for_ever(self) -> None:
        while True:
            # Connections of its own, so that its jobs' reads never wait for those of other parts.
            client = open_client(self._services.settings.redis_url, connections_max=JOBS_AT_ONCE_MAX + 5)
            self._worker = self._make_worker(client)
            try:
                await self._worker.async_run()
            except Exception as error:  # Redis is away, as a rule; whatever it is, jobs go on after it
                log.warning("jobs_interrupted", error=repr(error))
            finally:
                await _close(self._worker, client)
            await asyncio.sleep(RESTART_WAIT_S)

    def _make_worker(self, client: redis.Redis) -> Worker:
        return Worker(
            self._functions,
            queue_name=QUEUE,
            redis_pool=open_queue(client),
            ctx={"services": self._services},
            handle_signals=False,
            max_jobs=JOBS_AT_ONCE_MAX,
            job_timeout=JOB_TIMEOUT_S,
            max_tries=JOB_TRIES_MAX,
            keep_result=0,  # a kept result would refuse the next job with the same id
            poll_delay=POLL_S,
            job_serializer=serialize,
            job_deserializer=deserialize,
        )

    async def stop(self) -> None:
        """Take no more jobs, finish those that run."""
        if self._task is None:
            return
        if self._worker is not None:
            self._worker.allow_pick_jobs = False
            if running := set(self._worker.tasks.values()):
                await asyncio.wait(running, timeout=DRAIN_S)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task


async def _close(worker: Worker, client: redis.Redis) -> None:
    """What still runs is cut off, and runs again elsewhere."""
    worker.handle_sig(signal.SIGTERM)  # arq's way to cancel its tasks
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    await client.connection_pool.disconnect()


def _as_function(job: Job) -> Function:
    """`job(services, *arguments)` as arq wants it: counted, its errors logged with its name."""
    name = job.__name__

    async def run(ctx: dict[Any, Any], *arguments: Any, **named: Any) -> None:
        try:
            await job(ctx["services"], *arguments, **named)
        except Retry:
            metrics.JOBS.labels(name, "retried").inc()
            raise
        except Exception:
            metrics.JOBS.labels(name, "failed").inc()
            log.exception("job_failed", job=name, arguments=arguments)
        else:
            metrics.JOBS.labels(name, "done").inc()

    return func(run, name=name)
