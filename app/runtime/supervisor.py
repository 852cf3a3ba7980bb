"""`rushcart run`: everything that a shop needs on one machine, started in order and stopped together.

In: the settings. Out: an exit code, after a signal or a failure.
Must hold: when it returns, nothing that it started is left; the last line before it waits is `ready` with the
addresses; a message says what to do when it cannot start.
"""

import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import FrameType
from typing import NoReturn

import asyncpg
import httpx
import msgspec

from app.lib.migrate import MigrationError, migrate
from app.runtime import children, installation
from app.runtime.children import PROGRAM, ROOT, Child, Startable, Watch
from app.runtime.folders import FolderTakenError
from app.runtime.postgres import PostgresServer, ServerStartError
from app.runtime.progress import Progress
from app.runtime.tour import tour
from app.runtime.valkey import ValkeyServer
from app.settings import Settings

POLL_S = 0.1
# Loading a large catalog's snapshot takes an API process seconds.
READY_LIMIT_S = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal."""


class ChildFailedError(Exception):
    """A process ended, or did not answer, before everything was ready."""


START_ERRORS = (
    installation.FolderInUseError,
    installation.PortInUseError,
    FolderTakenError,
    ServerStartError,
    MigrationError,
    ChildFailedError,
    asyncpg.PostgresError,  # of a DATABASE_URL that was given
    asyncpg.InterfaceError,
    OSError,
)


def run(settings: Settings, *, workers: int, seed: bool) -> int:
    """Start everything, keep it running until a signal, stop everything. Returns the exit code."""
    progress = Progress()
    _listen_to_signals()
    try:
        with contextlib.ExitStack() as stack:
            try:
                _start_and_watch(settings, workers, seed, progress, stack)
            finally:
                _ignore_signals()  # the stop below is bounded, and must not itself be stopped
    except StopRequested:
        progress.warn("Stopped.")
        return 0
    except START_ERRORS as error:
        progress.warn(f"Rushcart did not start. {error}")
        return 1


def _start_and_watch(
    settings: Settings, workers: int, seed: bool, progress: Progress, stack: contextlib.ExitStack
) -> NoReturn:
    data_dir = Path(settings.data_dir).resolve()
    stack.enter_context(installation.locked(data_dir))
    os.umask(0o077)  # logs and books are for the owner alone
    children.end_left_over(data_dir)
    listeners = installation.listen(settings.host, settings.port, workers)
    for listener in listeners:
        stack.enter_context(listener)
    provider_port = installation.provider_port(settings.host, settings.port)

    servers = _start_servers(data_dir, progress, stack)
    settings = _settle(settings, data_dir, provider_port, servers)
    with progress.step("Schema"):
        asyncio.run(migrate(settings.database_url))
    if seed and importlib.util.find_spec("app.seed"):
        with progress.step("Demo shop"):
            _seed(data_dir)

    processes = _processes(settings, data_dir, listeners, provider_port)
    stack.callback(children.stop, processes)
    with progress.step("API, worker, sandbox provider"):
        for child in processes:
            child.start()
        _wait_ready(processes, settings)
    _say_ready(settings, progress, seeded=seed)
    _watch([*servers, *processes], progress)


def _processes(
    settings: Settings, data_dir: Path, listeners: list[socket.socket], provider_port: int
) -> list[Child]:
    environment = os.environ | {"RUSHCART_HOST": settings.host, "RUSHCART_PORT": str(settings.port)}
    processes = [
        Child(f"api-{n}", "api", data_dir=data_dir, environment=environment, listener=listener)
        for n, listener in enumerate(listeners, start=1)
    ]
    processes.append(_provider(settings, data_dir, provider_port))
    if importlib.util.find_spec("app.worker"):
        processes.append(Child("worker", "worker", data_dir=data_dir, environment=environment))
    return processes


def _start_servers(
    data_dir: Path, progress: Progress, stack: contextlib.ExitStack
) -> list[PostgresServer | ValkeyServer]:
    """Start those that the environment does not name."""
    servers: list[PostgresServer | ValkeyServer] = []
    if not os.environ.get("DATABASE_URL"):
        servers.append(PostgresServer(data_dir))
    if not os.environ.get("REDIS_URL"):
        servers.append(ValkeyServer(data_dir))
    for server in servers:
        stack.callback(server.stop)
        with progress.step(server.name):
            server.start()
    return servers


def _settle(
    settings: Settings, data_dir: Path, provider_port: int, servers: list[PostgresServer | ValkeyServer]
) -> Settings:
    """The settings as they now hold, written to the installation file for all others."""
    urls = {server.setting: server.url for server in servers}
    settled = msgspec.structs.replace(
        installation.with_secrets(settings),
        data_dir=str(data_dir),
        sandbox_url=installation.address(settings.host, provider_port),
        **urls,
    )
    settled.check()
    installation.store(settled)
    return settled


def _seed(data_dir: Path) -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [*PROGRAM, "seed", "--data-dir", str(data_dir)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ChildFailedError(f"The demo shop was not loaded:\n{done.stdout}{done.stderr}")


def _provider(settings: Settings, data_dir: Path, port: int) -> Child:
    address = installation.address(settings.host, settings.port)
    options = ["--host", settings.host, "--port", str(port), "--callback", address,
               "--public-url", settings.sandbox_url]  # fmt: skip
    # Secrets by the environment: a command line can be read by everyone on the machine.
    secrets = {
        "RUSHCART_SANDBOX_API_KEY": settings.sandbox_api_key,
        "RUSHCART_EVENT_SECRETS": ",".join(settings.event_secrets),
    }
    return Child("sandbox", "sandbox", *options, data_dir=data_dir, environment=os.environ | secrets)


def _wait_ready(processes: list[Child], settings: Settings) -> None:
    deadline = time.monotonic() + READY_LIMIT_S
    waiting = {
        f"{installation.address(settings.host, settings.port)}/readyz",
        f"{settings.sandbox_url}/healthz",
    }
    while waiting:
        if ended := [child for child in processes if child.pid is None]:
            raise ChildFailedError(_explain(ended[0], "ended"))
        if time.monotonic() > deadline:
            raise ChildFailedError(_explain(processes[0], f"was not ready after {READY_LIMIT_S:.0f} s"))
        waiting = {url for url in waiting if not _answers(url)}
        time.sleep(POLL_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1.0, trust_env=False).is_success  # no proxy between us and ourselves
    except httpx.HTTPError:
        return False


def _explain(child: Child, what: str) -> str:
    tail = child.log.read_text(errors="replace").splitlines()[-12:]
    return "\n".join([f"{child.name} {what}. The end of {child.log}:", *tail])


def _say_ready(settings: Settings, progress: Progress, *, seeded: bool) -> None:
    address = installation.address(settings.host, settings.port)
    progress.say(tour(settings, address, seeded=seeded))
    progress.say(f"ready api={address} provider={settings.sandbox_url}")


def _watch(processes: list[Startable], progress: Progress) -> NoReturn:
    watches = [Watch(process, progress) for process in processes]
    while True:
        for watch in watches:
            watch.look()
        time.sleep(POLL_S)


def _listen_to_signals() -> None:
    for number in STOP_SIGNALS:
        # nohup asks us to outlive the terminal by ignoring SIGHUP: leave it so.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _on_signal)


def _ignore_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    _ignore_signals()
    raise StopRequested
