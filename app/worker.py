"""`rushcart worker`: sweeps, jobs and the relay in one process; any number of them may run.

The sweeps keep every deadline with Postgres alone; arq's worker and the relay need Redis and wait for it.
SIGTERM and Ctrl-C stop it: what runs is finished, nothing new is begun.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

import structlog
from prometheus_client import start_http_server

from app.bootstrap import Services, open_services
from app.events_out.relay import Relay, export_all
from app.jobs import JOBS, JobRunner
from app.lib import log as logging
from app.lib.metrics import REGISTRY
from app.settings import Settings
from app.sweeps import SWEEPS, Sweeper, sweep_once

log = structlog.get_logger()


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    logging.configure(settings.log_level, process="worker")
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        if settings.worker_metrics_port:
            server, _ = start_http_server(settings.worker_metrics_port, settings.host, registry=REGISTRY)
            stack.callback(server.shutdown)
        services = await stack.enter_async_context(open_services(settings, name="worker", load_prices=False))
        for part in (Sweeper(services, SWEEPS), JobRunner(services, JOBS), Relay(services)):
            stack.push_async_callback(part.stop)
            await part.start()
        log.info("worker_started", sweeps=[sweep.name for sweep in SWEEPS])
        await stopping.wait()
        log.info("worker_stopping")


async def run_once(services: Services) -> None:
    """Everything that is due now, once: all sweeps, then the relay."""
    for sweep in SWEEPS:
        await sweep_once(services, sweep)
    await export_all(services)
