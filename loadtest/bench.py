"""`make bench`: how fast, beside an echo, on whole processes with durability on.

In: which cases, for how long. Out: a table, a JSON report, and the exit code: 1 when any answer was not the
expected one, or when the ledger afterwards is not what was answered.
The cases take turns within a round, so that a machine that drifts drifts for all of them; figures are medians
over the rounds. One API process; only one server is under load at a time.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from loadtest import report
from loadtest.cases import (
    API,
    API_BATCH_OF_1,
    CASES,
    ECHO_SERVERS,
    GROUP_JOIN,
    Case,
    Joins,
    choose,
    write_requests,
)
from loadtest.engine import measure_engine
from loadtest.goods import SKUS_MIN
from loadtest.measure import Sample, in_words, measure
from loadtest.open_groups import open_groups
from loadtest.preload import preload_orders, preload_promotions, vacuum
from loadtest.processes import Processes, Server
from loadtest.prove import ledger_problems
from loadtest.stage import fill, import_catalog
from loadtest.wrk import require_wrk

# Connections are made, tokens verified, pools loaded into the gate, code paths warm.
WARM_UP_S = 1
# Twice what has been measured: a slot is claimed once, so there must be enough of them.
CLAIMS_PER_S_MAX = 8_000
# The table does not fold, also where there is no terminal.
TABLE_WIDTH = 130
NAMES = ", ".join(case.name for case in CASES)


def bench(
    seconds: Annotated[int, typer.Option(help="Of each case in each round", min=1)] = 6,
    rounds: Annotated[int, typer.Option(help="In which all cases take their turn", min=1)] = 5,
    connections: Annotated[int, typer.Option(help="Callers who each wait for their answer", min=1)] = 256,
    orders: Annotated[int, typer.Option(help="Orders that are in the tables before", min=0)] = 0,
    only: Annotated[str, typer.Option(help=f"Some of: {NAMES}")] = "",
) -> None:
    """Measure requests/s, p50, p99 and the ratio to a Litestar echo, side by side."""
    require_wrk()
    console = Console(width=TABLE_WIDTH)
    cases = choose(only)
    with (
        tempfile.TemporaryDirectory(prefix="rushcart-bench-") as folder,
        Processes(Path(folder)) as processes,
    ):
        import_catalog(processes.folder, SKUS_MIN)
        preload_promotions(processes.settings.database_url)
        preload_orders(processes.settings.database_url, orders)
        engine = measure_engine()
        servers = _start_servers(processes, cases)
        stage = fill(servers[API].base_url, processes.settings, campaigns=True)
        requests = write_requests(stage, processes.folder)
        joins = None
        if any(case.name == GROUP_JOIN for case in cases):
            claims = CLAIMS_PER_S_MAX * (WARM_UP_S + rounds * seconds)
            groups = open_groups(servers[API].base_url, processes.settings, claims)
            joins = Joins(stage, groups)
            orders += len(groups.group_ids)
        samples = _run(cases, servers, requests, joins, processes, connections, seconds, rounds)
        options = {"seconds": seconds, "rounds": rounds, "connections": connections, "orders before": orders}
        figures = report.summarize(samples, engine, options)
        report.show(figures, console)
        console.print(f"Written to {report.store(figures, 'bench.json')}")
        problems = [f"{name}: {in_words(each.median)}"
                    for name, each in figures.cases.items() if each.median.unexpected]  # fmt: skip
        apis = [server for name, server in servers.items() if name not in ECHO_SERVERS]
        problems += ledger_problems(processes, apis, orders)
    for problem in problems:
        console.print(problem, style="red")
    raise typer.Exit(1 if problems else 0)


def _start_servers(processes: Processes, cases: list[Case]) -> dict[str, Server]:
    """Those that the cases ask for, and always an API: it also fills the stage."""
    servers = {API: processes.start_api(API)}
    for name in {case.server for case in cases} - {API}:
        if name == API_BATCH_OF_1:
            servers[name] = processes.start_api(name, batch_size_max="1")
        else:
            servers[name] = processes.start_echo(name)
    return servers


def _run(
    cases: list[Case], servers: dict[str, Server], requests: dict[str, Path],
    joins: Joins | None, processes: Processes,
    connections: int, seconds: int, rounds: int,
) -> dict[Case, list[Sample]]:  # fmt: skip
    samples: dict[Case, list[Sample]] = {case: [] for case in cases}

    def take(case: Case, for_s: int) -> Sample:
        if joins is None or case.name != GROUP_JOIN:
            file = requests[case.requests]
        else:
            file = joins.write_next(processes.folder / "joins.requests", CLAIMS_PER_S_MAX * for_s)
        sample = measure(case, servers[case.server], file, processes, connections=connections, seconds=for_s)
        if joins is not None and case.name == GROUP_JOIN:
            joins.sent(sample.requests)
        return sample

    with Progress(transient=True) as progress:
        task = progress.add_task("", total=rounds * len(cases))
        for case in cases:
            progress.update(task, description=f"warm-up: {case.name}")
            take(case, WARM_UP_S)
        for number in range(1, rounds + 1):
            # Else the first cases, which hardly use Postgres, would pay for what the round before has left.
            vacuum(processes.settings.database_url)
            for case in cases:
                progress.update(task, description=f"round {number}: {case.name}")
                samples[case].append(take(case, seconds))
                progress.advance(task)
    return samples


if __name__ == "__main__":
    typer.run(bench)
