"""One measurement: wrk against one server, and what the machine spent on it.

Enters a case with its server, leaves a Sample: rate, latency, answers that were not the expected one, and CPU
time a request per process. CPU time tells where the work is done also when others use the machine.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from loadtest.cases import ECHO_SERVERS, Case
from loadtest.processes import Processes, Server, cpu_s
from loadtest.scrape import Counts, scrape, scrape_when_quiet
from loadtest.wrk import WrkResult, run_wrk


class Sample(msgspec.Struct, frozen=True):
    """One run of one case; CPU in microseconds of one core, for one request.

    `unexpected`: how many by status, or by what wrk saw of those that never came. `outcomes`: of orders,
    those that the case does not want.
    """

    requests: int
    requests_per_s: float
    latency_ms_p50: float
    latency_ms_p99: float
    unexpected: dict[str, int]
    outcomes: dict[str, int]
    orders_per_commit: float
    server_cpu_us: float
    postgres_cpu_us: float
    valkey_cpu_us: float
    wrk_cpu_us: float


SUMMED = ("unexpected", "outcomes")


def measure(
    case: Case,
    server: Server,
    requests: Path,
    processes: Processes,
    *,
    connections: int,
    seconds: int,
) -> Sample:
    """Load the server for some seconds, then wait until it has answered everything."""
    pids = (server.pid, processes.postgres_pid, processes.valkey_pid)
    is_echo = case.server in ECHO_SERVERS
    counts_before = None if is_echo else scrape(server.base_url)
    cpu_before_s = [cpu_s(pid) for pid in pids]
    seen = run_wrk(requests, case.path, server.port, connections=connections, seconds=seconds)
    counts = None if counts_before is None else scrape_when_quiet(server.base_url).since(counts_before)
    cpu_us = [(cpu_s(pid) - before_s) * 1e6 for pid, before_s in zip(pids, cpu_before_s, strict=True)]
    return Sample(
        requests=seen.requests + connections,
        requests_per_s=seen.requests / (seen.duration_us / 1e6),
        latency_ms_p50=seen.latency_us_p50 / 1e3,
        latency_ms_p99=seen.latency_us_p99 / 1e3,
        unexpected=unexpected(case, seen, counts),
        outcomes=other_outcomes(case, counts),
        orders_per_commit=counts.orders_committed / counts.commits if counts and counts.commits else 0.0,
        server_cpu_us=cpu_us[0] / seen.requests,
        postgres_cpu_us=cpu_us[1] / seen.requests,
        valkey_cpu_us=cpu_us[2] / seen.requests,
        wrk_cpu_us=seen.wrk_cpu_s * 1e6 / seen.requests,
    )


def median_of(samples: list[Sample]) -> Sample:
    """The median of each number by itself; of what was unexpected the sum."""
    found: dict[str, Any] = {}
    for name in Sample.__struct_fields__:
        values = [getattr(each, name) for each in samples]
        found[name] = dict(sum(map(Counter, values), Counter())) if name in SUMMED else median(values)
    return Sample(**found)


def in_words(sample: Sample) -> str:
    """What was unexpected of it; of orders also what became of them."""
    answers = ", ".join(f"{what}: {count}" for what, count in sample.unexpected.items())
    outcomes = ", ".join(f"{what}: {count}" for what, count in sample.outcomes.items())
    found = f"{sum(sample.unexpected.values())} unexpected answers ({answers})"
    return f"{found}; other outcomes of orders: {outcomes}" if outcomes else found


def unexpected(case: Case, seen: WrkResult, counts: Counts | None) -> dict[str, int]:
    """Answers with another status, and requests without an answer."""
    found = Counter({"socket errors": seen.socket_errors, "no answer in time": seen.timeouts})
    if counts is None:
        found["not 2xx"] = seen.not_2xx
    else:
        for (path, status), count in counts.answers.items():
            if (path, status) != (case.path, case.status):
                found[str(status) if path == case.path else f"{status} of {path}"] = count
    return dict(+found)


def other_outcomes(case: Case, counts: Counts | None) -> dict[str, int]:
    """Orders have codes beside their status."""
    outcomes = {} if counts is None else counts.outcomes
    return {name: count for name, count in outcomes.items() if name != case.outcome}
