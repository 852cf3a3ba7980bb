"""A whole installation for a load: `rushcart run` in a folder of its own, as a user would start it.

Leaves its settings and its process; at the end nothing of it is left.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.runtime.children import PROGRAM, ROOT
from app.runtime.installation import listen
from app.runtime.process import end, spawn
from app.settings import Settings, load_settings

HOST = "127.0.0.1"
START_LIMIT_S = 120.0
# Each child drains for up to 25 s, then the servers stop.
STOP_LIMIT_S = 60.0
POLL_S = 0.1


@dataclass(frozen=True)
class Installation:
    """What runs, and the folder that it runs in."""

    folder: Path
    settings: Settings
    run: psutil.Popen

    def api(self) -> psutil.Process:
        """The API process; another one after a restart."""
        return next(child for child in self.run.children() if "api" in child.cmdline())


@contextlib.contextmanager
def own_installation() -> Iterator[Installation]:
    """Started without the demo shop; raises SystemExit with its output when it does not get ready."""
    with tempfile.TemporaryDirectory(prefix="rushcart-load-") as name:
        folder = Path(name) / "data"
        output = Path(name) / "run.out"
        command = [*PROGRAM, "run", "--data-dir", str(folder), "--port", str(_free_port()), "--no-seed"]
        process = spawn(command, log=output, death_signal=signal.SIGTERM, cwd=ROOT)
        try:
            _wait_ready(process, output)
            yield Installation(folder, load_settings(folder), process)
        finally:
            end([process], ((signal.SIGTERM, STOP_LIMIT_S), (signal.SIGKILL, 5.0)))


def _wait_ready(process: psutil.Popen, output: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not any(line.startswith("ready ") for line in output.read_text().splitlines()[-1:]):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"rushcart run did not get ready:\n{output.read_text()}")
        time.sleep(POLL_S)


def _free_port() -> int:
    (listener,) = listen(HOST, 0, 1)
    with listener:
        return int(listener.getsockname()[1])
