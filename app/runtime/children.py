"""The processes of `rushcart run`, and the watch that starts again what has died.

In: a command line per process. Out: running processes, their output in `<name>.log` of the data folder.
Must hold: a process that dies is back within the second; one that dies again and again is tried ever more
slowly, not given up.
"""

import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import psutil

from app.runtime.process import Steps, end, spawn
from app.runtime.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "app"]
COMMANDS = frozenset({"api", "worker", "sandbox"})

# The first try at once, so that a crash costs buyers little; then doubling, so that one that cannot start
# does not eat the machine.
RESTART_FIRST_S = 0.1
RESTART_MAX_S = 5.0
# Who lived this long has started well: its next death counts as its first.
STEADY_S = 30.0
# SIGTERM drains: accepted requests are answered, a job (20 s at most) ends.
STOP_STEPS: Steps = ((signal.SIGTERM, 25.0), (signal.SIGKILL, 5.0))


class Startable(Protocol):
    """A process with a name that can be started and that says whether it runs."""

    @property
    def name(self) -> str: ...
    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...


class Child:
    """One process of ours: `rushcart <command> …` on this installation."""

    def __init__(
        self,
        name: str,
        command: str,
        *options: str,
        data_dir: Path,
        environment: dict[str, str],
        listener: socket.socket | None = None,
    ) -> None:
        assert command in COMMANDS
        self.name = name
        self.log = data_dir / f"{name}.log"
        self._listener = listener
        descriptor = ["--fd", str(listener.fileno())] if listener else []
        self._command = [*PROGRAM, command, "--data-dir", str(data_dir), *descriptor, *options]
        self._environment = environment
        self._process: psutil.Popen | None = None
        with contextlib.suppress(FileNotFoundError):
            self.log.rename(self.log.with_suffix(".log.1"))  # of the run before: two runs are kept

    @property
    def pid(self) -> int | None:
        """Its process id while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Start it; nothing is waited for."""
        self._process = spawn(
            self._command,
            log=self.log,
            # A parent that was killed cannot let them drain: the ledger and the gate go at the same moment.
            death_signal=signal.SIGKILL,
            environment=self._environment,
            cwd=ROOT,
            descriptors=[self._listener.fileno()] if self._listener else [],
        )

    def process(self) -> list[psutil.Popen]:
        """What there is to end."""
        return [self._process] if self._process else []


def stop(children: Sequence[Child]) -> None:
    """Stop all at once, each draining by itself."""
    end([process for child in children for process in child.process()], STOP_STEPS)


def end_left_over(data_dir: Path) -> None:
    """End what a killed `rushcart run` has left here, where the system does not do it by itself."""
    left = [
        process
        for process in psutil.process_iter(["cmdline"])
        if _is_child(process.info["cmdline"] or [], data_dir) and process.pid != os.getpid()
    ]
    end(left, ((signal.SIGKILL, 5.0),))


def _is_child(command: list[str], data_dir: Path) -> bool:
    match command:
        case [_, "-m", "app", name, "--data-dir", folder, *_]:
            return name in COMMANDS and folder == str(data_dir)
    return False


class Watch:
    """Starts one process again when it has died, ever more slowly while it keeps dying."""

    def __init__(self, process: Startable, progress: Progress) -> None:
        self._process = process
        self._progress = progress
        self._delay_s = RESTART_FIRST_S
        self._started_at = time.monotonic()
        self._start_at: float | None = None

    def look(self) -> None:
        """Take the next step, if one is due."""
        now = time.monotonic()
        if self._process.pid is not None:
            return
        if self._start_at is None:
            if now - self._started_at >= STEADY_S:
                self._delay_s = RESTART_FIRST_S
            self._start_at = now + self._delay_s
            self._progress.warn(f"{self._process.name} has ended; starting it again in {self._delay_s:.1f} s")
            self._delay_s = min(self._delay_s * 2, RESTART_MAX_S)
        elif now >= self._start_at:
            self._start_at = None
            self._started_at = now
            self._start()

    def _start(self) -> None:
        from app.runtime.postgres import ServerStartError

        try:
            self._process.start()
        except (ServerStartError, OSError) as error:  # tried again, more slowly
            self._progress.warn(str(error))
