"""Locust as a child process: mixed traffic at a constant rate on one installation.

Enters the stage and a rate, leaves a running process, then its figures per call and an HTML report. Users do
not wait for each other: when answers get slower, the rate stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from app.runtime.children import ROOT
from loadtest.stage import Stage

STAGE_VARIABLE = "RUSHCART_STAGE"
FIGURES_VARIABLE = "RUSHCART_FIGURES"
# Slow enough that no user waits for its own last answer, fast enough that a few hundred make the rate.
REQUESTS_PER_USER_S = 4
LOCUSTFILE = Path(__file__).with_name("locustfile.py")


class CallFigures(msgspec.Struct, frozen=True):
    """Of one kind of call, or of all."""

    name: str
    requests: int
    failures: int
    requests_per_s: float
    latency_ms_p50: float
    latency_ms_p95: float
    latency_ms_p99: float


class Figures(msgspec.Struct, frozen=True):
    """What Locust counted; `errors` in its words."""

    calls: list[CallFigures]
    total: CallFigures
    errors: list[str]


class Traffic:
    """One run of Locust; its files go to `folder`, the report to `html`."""

    def __init__(
        self, address: str, stage: Stage, folder: Path, *, rate: int, seconds: int, html: Path
    ) -> None:
        stage_file = folder / "stage.json"
        stage_file.write_bytes(msgspec.json.encode(stage))
        self._figures = folder / "figures.json"
        self._log = folder / "locust.log"
        html.parent.mkdir(exist_ok=True)
        users = str(max(1, rate // REQUESTS_PER_USER_S))
        files = {STAGE_VARIABLE: str(stage_file), FIGURES_VARIABLE: str(self._figures)}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "locust", "--headless", "-f", LOCUSTFILE, "--host", address,
                 "-u", users, "-r", users, "-t", f"{seconds}s", "--html", html, "--only-summary"],
                cwd=ROOT, env=os.environ | files, stdout=log, stderr=log,
            )  # fmt: skip

    def runs(self) -> bool:
        return self._process.poll() is None

    def figures(self) -> Figures:
        """Wait for its end. Raises SystemExit when Locust itself failed."""
        self._process.wait()
        if not self._figures.exists():
            raise SystemExit(f"Locust did not run:\n{self._log.read_text()}")
        return msgspec.json.decode(self._figures.read_bytes(), type=Figures)

    def stop(self) -> None:
        """End it, if it still runs."""
        self._process.terminate()
        self._process.wait()
