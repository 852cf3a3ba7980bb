"""A whole installation of a test's own, made of real processes that may be killed.

Enters a data folder, leaves running servers and API processes on one port. Must hold: the sockets that the
API listens on belong to the test, as they do to `rushcart run`, so that connections wait while it restarts.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from app.audit.audit import measure_gate_drift
from app.bootstrap import Services, open_services
from app.lib.auth import make_token
from app.lib.migrate import migrate
from app.lib.valkey import GateDown
from app.runtime.children import Child, stop
from app.runtime.embedded import EmbeddedServers, start_servers
from app.runtime.installation import listen
from app.runtime.process import end
from app.settings import Settings
from tests.faults.rush import Sale, ask, checkout_request
from tests.sandbox.process import free_port
from tests.waiting import wait_until

HOST = "127.0.0.1"
API_PROCESSES = 2
# The kernel spreads connections over the processes: the chance that so many miss one of two is 2 in 2^24.
LOOKS = 24
# An API process imports for a second, and up to three start beside a loaded machine's tests.
READY_LIMIT_S = 30.0
# The promise of the design: nothing stays stuck in the gate for longer.
SETTLE_LIMIT_S = 30.0


class Stack:
    """Servers, API processes and a worker, and this process's own view of ledger and gate."""

    def __init__(
        self, servers: EmbeddedServers, apis: list[Child], worker: Child, port: int, services: Services
    ) -> None:
        self.servers = servers
        self.apis = apis
        self.worker = worker
        self.port = port
        self.services = services

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.port}"

    def kill_apis(self) -> None:
        """End them as a crash would, without a word to anyone."""
        end([process for api in self.apis for process in api.process()], ((signal.SIGKILL, 5.0),))

    def start_apis(self) -> None:
        for api in self.apis:
            api.start()

    async def restore(self) -> None:
        """Start again what a test has left dead."""
        self.servers.postgres.start()
        self.servers.valkey.start()
        for child in (self.worker, *self.apis):
            if child.pid is None:
                child.start()
        await self.wait_ready()

    async def wait_ready(self) -> None:
        """Until every API process takes orders."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:

            async def all_ready() -> bool:
                try:
                    answers = [await http.get(f"{self.address}/readyz", headers={"connection": "close"})
                               for _ in range(LOOKS)]  # fmt: skip
                except httpx.TransportError:
                    return False
                return all(answer.status_code == 200 for answer in answers)

            await wait_until(all_ready, READY_LIMIT_S)

    async def wait_on_sale(self, sale: Sale) -> None:
        """Until every API process prices the sale: they take over what is new within a second."""
        token = make_token(self.services.settings, sub="early", role="buyer")
        request = checkout_request(sale, token, "early", price_minor=0)

        async def on_sale() -> bool:
            told = [await ask(self.port, request) for _ in range(LOOKS)]
            return {each.code for each in told} == {"price_changed"}

        await wait_until(on_sale, READY_LIMIT_S)

    async def wait_on_offer(self, template_id: str) -> None:
        """Until every API process offers the coupons."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:

            async def offered() -> bool:
                answers = [
                    await http.get(f"{self.address}/coupon/offers", headers={"connection": "close"})
                    for _ in range(LOOKS)
                ]
                shown = [[each["template_id"] for each in answer.json()["items"]] for answer in answers]
                return all(template_id in each for each in shown)

            await wait_until(offered, READY_LIMIT_S)

    async def wait_settled(self) -> None:
        """Until the stock's gate holds nothing in flight and every gate equals the ledger."""

        async def settled() -> bool:
            try:
                drift = await measure_gate_drift(self.services)
            except GateDown:  # the breaker opens again a moment after Valkey is back
                return False
            return not drift and await self.in_flight() == 0

        await wait_until(settled, SETTLE_LIMIT_S)

    async def in_flight(self) -> int:
        """Reservations in the gate that no commit has settled."""
        keys = [key async for key in self.services.redis.scan_iter(match="gate:*:flight")]
        return sum([await self.services.redis.hlen(key) for key in keys])


@asynccontextmanager
async def open_stack(folder: Path, *, api_processes: int = API_PROCESSES) -> AsyncIterator[Stack]:
    """Start everything, stop it at the end."""
    servers = start_servers(folder / "servers", durable=False)
    port = free_port()
    sockets = listen(HOST, port, api_processes)
    try:
        await migrate(servers.database_url)
        settings = Settings(database_url=servers.database_url, redis_url=servers.redis_url, port=port)
        environment = {
            **os.environ,
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url,
            "RUSHCART_PORT": str(port),
        }
        worker = Child("worker", "worker", data_dir=folder, environment=environment)
        apis = [
            Child(f"api-{n}", "api", data_dir=folder, environment=environment, listener=each)
            for n, each in enumerate(sockets)
        ]
        try:
            for child in (worker, *apis):
                child.start()
            async with open_services(settings, name="judge", load_prices=False) as services:
                stack = Stack(servers, apis, worker, port, services)
                await stack.wait_ready()
                yield stack
        finally:
            stop([worker, *apis])
    finally:
        for each in sockets:
            each.close()
        servers.stop()
