"""`rushcart run`: everything on one machine, and nothing of it left behind."""

import fcntl
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from app.runtime.children import ROOT
from app.runtime.folders import mark_of

START_LIMIT_S = 60.0


class Run:
    """One `rushcart run` of a test; its output goes to a file, or to a terminal."""

    def __init__(self, data_dir: Path, port: int, *, terminal: bool = False) -> None:
        self.data_dir = data_dir
        self.output = data_dir.with_suffix(".out")
        self.command = [sys.executable, "-m", "app", "run", "--data-dir", str(data_dir), "--port", str(port)]
        self.terminal: int | None = None
        if terminal:
            self._start_on_a_terminal()
        else:
            with self.output.open("wb") as file:
                self.process = subprocess.Popen(
                    [*self.command, "--no-seed"], cwd=ROOT, stdout=file, stderr=subprocess.STDOUT
                )

    def _start_on_a_terminal(self) -> None:
        self.terminal, inside = pty.openpty()
        self.process = subprocess.Popen(
            [*self.command, "--no-seed"],
            cwd=ROOT,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inside)

    def lines(self) -> list[str]:
        return self.output.read_text().splitlines()

    def wait_ready(self) -> dict[str, str]:
        """The addresses in its last line."""
        if self.terminal is not None:
            text = b""
            while b"\nready " not in text:
                text += os.read(self.terminal, 65_536)
            return {}
        wait_until(lambda: self.process.poll() is not None or self.is_ready())
        assert self.is_ready(), self.output.read_text()
        return dict(word.split("=", 1) for word in self.lines()[-1].split()[1:])

    def is_ready(self) -> bool:
        return any(line.startswith("ready ") for line in self.lines()[-1:])

    def child(self, word: str) -> psutil.Process:
        """Its child with this word on its command line."""
        children = psutil.Process(self.process.pid).children()
        return next(child for child in children if word in child.cmdline() or word in child.name())

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(START_LIMIT_S)


@pytest.fixture
def start(tmp_path: Path, free_port: int) -> Iterator[Callable[..., Run]]:
    """Starts runs and stops those that a failed test has left."""
    runs: list[Run] = []

    def starter(name: str = "shop", port: int = free_port, *, terminal: bool = False) -> Run:
        runs.append(Run(tmp_path / name, port, terminal=terminal))
        return runs[-1]

    yield starter
    for run in runs:
        if run.process.poll() is None:
            run.stop()


@pytest.fixture
def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def wait_until(condition: Callable[[], object], limit_s: float = START_LIMIT_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processes_of(data_dir: Path) -> list[str]:
    """Every process that names this installation, its embedded servers included."""
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(data_dir) in line or mark_of(data_dir) in line]


def answers(address: str, path: str = "/readyz") -> bool:
    try:
        return httpx.get(f"{address}{path}", timeout=5, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_second_start_keeps_the_data_and_the_secrets(start: Callable[..., Run]) -> None:
    first = start()
    addresses = first.wait_ready()
    assert answers(addresses["api"])
    assert answers(addresses["provider"], "/healthz")
    file = first.data_dir / "installation.json"
    assert file.stat().st_mode & 0o777 == 0o600
    stored = json.loads(file.read_text())
    connection = await asyncpg.connect(stored["database_url"])
    await connection.execute(
        "INSERT INTO shop (shop_id, name, currency, version) VALUES ('7', 'Tea', 'CNY', 1)"
    )
    await connection.close()

    assert first.stop() == 0
    assert processes_of(first.data_dir) == []

    second = start()
    assert second.wait_ready() == addresses
    assert json.loads(file.read_text()) == stored
    connection = await asyncpg.connect(stored["database_url"])
    assert await connection.fetchval("SELECT name FROM shop") == "Tea"
    await connection.close()
    assert second.stop() == 0
    assert processes_of(second.data_dir) == []


def test_after_a_kill_nothing_stays_and_the_next_start_works(start: Callable[..., Run]) -> None:
    killed = start()
    killed.wait_ready()
    killed.process.kill()
    killed.process.wait()

    next_one = start()  # at once, while what the killed one left may still be ending
    assert answers(next_one.wait_ready()["api"])
    assert next_one.stop() == 0
    assert processes_of(next_one.data_dir) == []


def test_a_child_that_dies_is_started_again(start: Callable[..., Run]) -> None:
    run = start()
    address = run.wait_ready()["api"]
    for word in ("api", "sandbox", "valkey-server", "postgres"):
        dead = run.child(word)
        dead.kill()
        wait_until(lambda dead=dead: not dead.is_running() or dead.status() == psutil.STATUS_ZOMBIE)
        wait_until(lambda word=word, dead=dead: any(
            word in child.cmdline() or word in child.name()
            for child in psutil.Process(run.process.pid).children() if child.pid != dead.pid))  # fmt: skip
    wait_until(lambda: answers(address))
    assert run.stop() == 0
    assert processes_of(run.data_dir) == []


@pytest.mark.parametrize("ending", ["Ctrl-C", "closed terminal"])
def test_the_end_of_its_terminal_leaves_no_process(start: Callable[..., Run], ending: str) -> None:
    run = start(terminal=True)
    run.wait_ready()
    assert run.terminal is not None
    if ending == "Ctrl-C":
        os.write(run.terminal, b"\x03")
        assert run.process.wait(START_LIMIT_S) == 0
        os.close(run.terminal)
    else:
        os.close(run.terminal)
        run.process.wait(START_LIMIT_S)
    assert processes_of(run.data_dir) == []


def test_a_port_in_use_is_named_and_nothing_is_started(start: Callable[..., Run], free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        run = start()
        assert run.process.wait(START_LIMIT_S) == 1
    assert run.lines() == [
        f"Rushcart did not start. Port {free_port} on 127.0.0.1 is in use.",
        f"Choose another one: --port {free_port + 1}",
    ]
    assert processes_of(run.data_dir) == []
    assert not (run.data_dir / "postgres").exists()


def test_two_folders_run_side_by_side_and_one_folder_runs_once(
    start: Callable[..., Run], free_port: int
) -> None:
    first = start("first")
    first.wait_ready()
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        other_port = int(bound.getsockname()[1])
    again = start("first", other_port)
    assert again.process.wait(START_LIMIT_S) == 1
    assert again.lines()[0] == (
        f"Rushcart did not start. Rushcart already runs on {first.data_dir} (process {first.process.pid})."
    )
    second = start("second", other_port)
    assert answers(second.wait_ready()["api"])
    assert second.stop() == 0
    assert answers(f"http://127.0.0.1:{free_port}")
    assert first.stop() == 0
