"""`make soak`: does the API's memory stay where it is?

In: rate, time, the size of the catalog. Out: the API's resident memory over time, and the exit code: 1 when
it is above its limit, grows under steady load, or a request failed. `--seconds 0` looks at a loaded catalog
alone.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import linear_regression
from typing import Annotated

import psutil
import typer
from rich.console import Console

from loadtest.goods import SKUS_MIN
from loadtest.installation import own_installation
from loadtest.report import REPORTS
from loadtest.run import show
from loadtest.stage import fill, import_catalog
from loadtest.traffic import Traffic

HTML = REPORTS / "soak.html"
# (minutes since the start, megabytes)
Sample = tuple[float, float]

MB = 1024 * 1024
# With a hundred thousand SKUs loaded: four such processes fit beside Postgres and Valkey in 4 GB.
RSS_MAX_MB = 400
# Caches fill (buyers' tokens, prepared statements, buffers): their growth ends, a leak's does not.
WARM_UP_SHARE = 0.25
# At 200 requests a second, one megabyte a minute is 87 bytes a request: the allocator's noise is below it,
# one object kept of each request is above it.
GROWTH_MAX_MB_PER_MIN = 1.0
SAMPLE_EVERY_S = 1.0


def soak(
    rate: Annotated[int, typer.Option(help="Requests a second", min=4)] = 200,
    seconds: Annotated[int, typer.Option(help="How long; 0: no load", min=0)] = 600,
    skus: Annotated[int, typer.Option(help="Size of the catalog", min=SKUS_MIN)] = SKUS_MIN,
) -> None:
    """Load for ten minutes while watching the API's memory."""
    console = Console()
    with own_installation() as shop:
        import_catalog(shop.folder, skus)
        stage = fill(shop.settings.base_url(), shop.settings)
        api = shop.api()
        console.print(f"API with {skus:,} SKUs loaded: {_rss_mb(api):.0f} MB")
        samples, problems = [(0.0, _rss_mb(api))], list[str]()
        if seconds:
            with tempfile.TemporaryDirectory(prefix="rushcart-soak-") as name:
                address = shop.settings.base_url()
                traffic = Traffic(address, stage, Path(name), rate=rate, seconds=seconds, html=HTML)
                samples = _watch(api, traffic)
                figures = traffic.figures()
                show(figures, console)
                problems = figures.errors
    problems += _judge(samples, console)
    for problem in problems:
        console.print(problem, style="red", markup=False)
    raise typer.Exit(1 if problems else 0)


def _watch(api: psutil.Process, traffic: Traffic) -> list[Sample]:
    """Until the traffic ends. Raises SystemExit when the API ends before."""
    samples = []
    started = time.monotonic()
    try:
        while traffic.runs():
            samples.append(((time.monotonic() - started) / 60, _rss_mb(api)))
            time.sleep(SAMPLE_EVERY_S)
    except psutil.NoSuchProcess:
        raise SystemExit("The API has ended under the load.") from None
    finally:
        traffic.stop()
    return samples


def _judge(samples: list[Sample], console: Console) -> list[str]:
    """What is wrong, in words."""
    problems = []
    highest = max(rss_mb for _, rss_mb in samples)
    if highest > RSS_MAX_MB:
        problems.append(f"The API used {highest:.0f} MB; its limit is {RSS_MAX_MB} MB.")
    steady = samples[int(len(samples) * WARM_UP_SHARE) :]
    if len(steady) > 1:
        minutes, sizes_mb = zip(*steady, strict=True)
        growth = linear_regression(minutes, sizes_mb).slope
        console.print(f"At most {highest:.0f} MB; after the warm-up it grew by {growth:+.2f} MB a minute")
        if growth > GROWTH_MAX_MB_PER_MIN:
            problems.append(f"Memory grows by more than {GROWTH_MAX_MB_PER_MIN} MB a minute.")
    return problems


def _rss_mb(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / MB


if __name__ == "__main__":
    typer.run(soak)
