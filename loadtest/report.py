"""The bench's figures, side by side on the terminal and as JSON in loadtest/reports/."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from loadtest import rules
from loadtest.cases import ECHO, Case
from loadtest.engine import EngineFigures
from loadtest.measure import Sample, median_of

REPORTS = Path(__file__).with_name("reports")


class Figures(msgspec.Struct, frozen=True):
    """Of one case: medians of the rounds, the ratio to the echo of the same round, and every round."""

    what: str
    of_the_echo: float | None
    median: Sample
    rounds: list[Sample]


class Report(msgspec.Struct, frozen=True):
    """A run of the bench."""

    measured_at: datetime
    machine: str
    options: dict[str, int]
    cases: dict[str, Figures]
    engine: EngineFigures


def summarize(samples: dict[Case, list[Sample]], engine: EngineFigures, options: dict[str, int]) -> Report:
    echo = next((rounds for case, rounds in samples.items() if case.name == ECHO), None)
    cases = {
        case.name: Figures(case.what, _ratio(rounds, echo), median_of(rounds), rounds)
        for case, rounds in samples.items()
    }
    machine = f"{os.cpu_count()} cores, {_processor()}, Python {platform.python_version()}"
    return Report(datetime.now(UTC), machine, options, cases, engine)


def _ratio(rounds: list[Sample], echo: list[Sample] | None) -> float | None:
    """Of each round's rates, since both sides of a round saw the same machine."""
    if echo is None:
        return None
    pairs = zip(rounds, echo, strict=True)
    return median(each.requests_per_s / base.requests_per_s for each, base in pairs)


def _processor() -> str:
    """Linux names it; elsewhere the architecture must do."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), platform.machine())


def show(report: Report, console: Console) -> None:
    options = ", ".join(f"{value} {name}" for name, value in report.options.items())
    table = Table(title=f"{report.machine}; {options}", caption="CPU: microseconds of one core, a request")
    table.add_column("case", no_wrap=True)
    for name in ("requests/s", "of echo", "p50 ms", "p99 ms", "unexpected", "orders a commit",
                 "CPU server", "Postgres", "Valkey", "wrk"):  # fmt: skip
        table.add_column(name, justify="right")
    for name, figures in report.cases.items():
        sample = figures.median
        table.add_row(
            name,
            f"{sample.requests_per_s:,.0f}",
            "" if figures.of_the_echo is None else f"{figures.of_the_echo:.2f}",
            f"{sample.latency_ms_p50:.1f}",
            f"{sample.latency_ms_p99:.1f}",
            str(sum(sample.unexpected.values())),
            f"{sample.orders_per_commit:.1f}" if sample.orders_per_commit else "",
            f"{sample.server_cpu_us:.0f}",
            f"{sample.postgres_cpu_us:.0f}",
            f"{sample.valkey_cpu_us:.0f}",
            f"{sample.wrk_cpu_us:.0f}",
        )
    console.print(table)
    console.print(
        f"Engine alone, median: 10 lines under 30 of {rules.RULES:,} rules {report.engine.price_us:,.0f} µs, "
        f"the best of {rules.COUPONS} coupons for them {report.engine.choose_us:,.0f} µs"
    )


def store(report: Report, name: str) -> Path:
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / name
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return path
