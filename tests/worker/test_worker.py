"""`rushcart worker` as a process: it keeps deadlines without Redis, and stops cleanly."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from app.bootstrap import Services, open_services
from app.lib.clock import OffsetClock
from app.runtime.embedded import EmbeddedServers
from app.settings import Settings
from tests.placed import place, read_stock, stock_sku
from tests.waiting import wait_until


class WorkerProcess:
    def __init__(self, servers: EmbeddedServers, metrics_port: int, clock_offset_s: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app", "worker"],
            env=os.environ
            | {
                "DATABASE_URL": servers.database_url,
                "REDIS_URL": servers.redis_url,
                "RUSHCART_CLOCK_OFFSET_S": str(clock_offset_s),
                "RUSHCART_WORKER_METRICS_PORT": str(metrics_port),
            },
        )

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture
def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


@pytest.fixture
def worker(own_servers: EmbeddedServers, free_port: int) -> Iterator[WorkerProcess]:
    """A worker an hour ahead: every unpaid order is due."""
    worker = WorkerProcess(own_servers, free_port, clock_offset_s=3600)
    yield worker
    worker.process.kill()
    worker.process.wait()


async def test_a_worker_closes_due_orders_without_redis_and_stops_when_told(
    own_servers: EmbeddedServers, worker: WorkerProcess, free_port: int
) -> None:
    own_servers.valkey.kill()
    settings = Settings(database_url=own_servers.database_url, redis_url=own_servers.redis_url)
    async with open_services(settings, name="test", clock=OffsetClock()) as services:
        pool_id = await stock_sku(services.pool, "1001", on_hand=10)
        await place(services, ("1001", 3))

        async def released() -> bool:
            return await read_stock(services.pool, pool_id) == (10, 0)

        await wait_until(released)
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://127.0.0.1:{free_port}/metrics")).text
        assert 'rushcart_swept_total{sweep="close_due_orders"} 1.0' in text

        own_servers.valkey.start()
        await wait_until(lambda: exported(services))
    assert worker.stop() == 0


async def test_a_worker_goes_on_after_a_restart_of_postgres(
    own_servers: EmbeddedServers, worker: WorkerProcess
) -> None:
    settings = Settings(database_url=own_servers.database_url, redis_url=own_servers.redis_url)

    async def close_one(sku_id: str) -> None:
        async with open_services(settings, name="test", clock=OffsetClock()) as services:
            pool_id = await stock_sku(services.pool, sku_id, on_hand=10)
            await place(services, (sku_id, 3))

            async def released() -> bool:
                return await read_stock(services.pool, pool_id) == (10, 0)

            await wait_until(released)

    await close_one("1001")
    own_servers.postgres.kill()
    own_servers.postgres.start()
    await close_one("1002")
    assert worker.stop() == 0


async def exported(services: Services) -> bool:
    return set(await services.redis.keys("events:*")) == {b"events:order.placed", b"events:order.canceled"}
