"""Run wrk (Debian's package) with prepared requests, and read what it measured.

Enters a file of requests and a port, leaves counts and latencies. Every request carries an Idempotency-Key
that no other run has used. One thread: it needs about 15 µs a request, so it keeps up with every case, and a
second one would take the core that the servers need.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import uuid
from pathlib import Path

import msgspec

SCRIPT = Path(__file__).with_name("wrk.lua")
# Longer than any answer that counts as one: what takes longer is a failure of the run.
ANSWER_LIMIT_S = 10


class WrkResult(msgspec.Struct, frozen=True):
    """What wrk saw of one run; latencies as the client has them."""

    requests: int
    duration_us: int
    latency_us_p50: int
    latency_us_p99: int
    not_2xx: int
    socket_errors: int
    timeouts: int
    wrk_cpu_s: float = 0.0


def require_wrk() -> None:
    """Raises SystemExit with how to get it."""
    if shutil.which("wrk") is None:
        raise SystemExit("The bench needs wrk, which is not installed. On Debian and Ubuntu:\n"
                         "  sudo apt-get install wrk")  # fmt: skip


def run_wrk(requests: Path, path: str, port: int, *, connections: int, seconds: int) -> WrkResult:
    """As many requests as `connections` callers get answered who each wait for the last answer."""
    command = [
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"--timeout={ANSWER_LIMIT_S}s"),
        *("-s", str(SCRIPT), f"http://127.0.0.1:{port}", "--", str(requests), path, uuid.uuid4().hex),
    ]
    before = _children_cpu_s()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"wrk failed:\n{done.stdout}{done.stderr}")
    result = msgspec.json.decode(done.stdout.splitlines()[-1], type=WrkResult)
    return msgspec.structs.replace(result, wrk_cpu_s=_children_cpu_s() - before)


def _children_cpu_s() -> float:
    """Of the children that have ended: between two readings around it, wrk alone."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
