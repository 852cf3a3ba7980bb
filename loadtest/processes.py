"""The processes that a bench measures: embedded servers, API processes, echoes; and the CPU each has used.

Enters a folder, leaves running processes on ports of their own. Durability is on (fsync, synchronous
commits). Every process ends with this one, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from app.lib.migrate import migrate
from app.runtime import children, installation
from app.runtime.children import ROOT, Child
from app.runtime.embedded import EmbeddedServers, start_servers
from app.runtime.process import end, spawn
from app.settings import Settings, load_settings

HOST = "127.0.0.1"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 10.0
POLL_S = 0.05


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP."""

    port: int
    pid: int

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"


class Processes:
    """Starts what the bench needs; `with` ends all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Processes:
        self.servers: EmbeddedServers = start_servers(self.folder)
        self._stack.callback(self.servers.stop)
        asyncio.run(migrate(self.servers.database_url))
        installation.store(
            Settings(
                data_dir=str(self.folder),
                database_url=self.servers.database_url,
                redis_url=self.servers.redis_url,
            )
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def settings(self) -> Settings:
        """As every command that is given the folder sees them."""
        return load_settings(self.folder)

    @property
    def postgres_pid(self) -> int:
        return _running(self.servers.postgres.pid)

    @property
    def valkey_pid(self) -> int:
        return _running(self.servers.valkey.pid)

    def start_api(self, name: str, **settings: str) -> Server:
        """`rushcart api`, with `settings` over the defaults."""
        listener = self._listen()
        environment = os.environ | {f"RUSHCART_{key.upper()}": value for key, value in settings.items()}
        child = Child(name, "api", data_dir=self.folder, environment=environment, listener=listener)
        child.start()
        self._stack.callback(children.stop, [child])
        server = Server(_port(listener), _running(child.pid))
        _wait_ready(server, child)
        return server

    def start_worker(self) -> None:
        """`rushcart worker`: not part of what is measured, but it ends what the orders have begun."""
        child = Child("worker", "worker", data_dir=self.folder, environment=dict(os.environ))
        child.start()
        self._stack.callback(children.stop, [child])

    def start_echo(self, name: str) -> Server:
        """`limit` or `echo` of loadtest/echo.py."""
        listener = self._listen()
        process = spawn(
            [sys.executable, "-m", "loadtest.echo", name, str(listener.fileno())],
            log=self.folder / f"{name}.log",
            death_signal=signal.SIGKILL,
            cwd=ROOT,
            descriptors=[listener.fileno()],
        )
        self._stack.callback(end, [process], ((signal.SIGTERM, STOP_LIMIT_S), (signal.SIGKILL, STOP_LIMIT_S)))
        return Server(_port(listener), process.pid)

    def _listen(self) -> socket.socket:
        (listener,) = installation.listen(HOST, 0, 1)
        return self._stack.enter_context(listener)


def answers(url: str) -> bool:
    """Whether a GET of it succeeds now."""
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def cpu_s(pid: int) -> float:
    """CPU time of a process and of all that it has started, ended ones included."""
    process = psutil.Process(pid)
    own = process.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # counted by its parent from now on
            used = child.cpu_times()
            total += used.user + used.system
    return total


def _wait_ready(server: Server, child: Child) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not answers(f"{server.base_url}/readyz"):
        if child.pid is None or time.monotonic() > deadline:
            raise SystemExit(f"{child.name} did not start:\n{child.log.read_text()}")
        time.sleep(POLL_S)


def _running(pid: int | None) -> int:
    if pid is None:
        raise SystemExit("A server that the bench needs has ended.")
    return pid


def _port(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])
