"""`make loadtest`: mixed traffic at a constant rate, without a single error.

In: rate and time; an installation that runs already, or none: then one of its own. Out: p50, p95 and p99 of
each call, loadtest/reports/locust.html with charts, and the exit code: 1 when a request failed or the rate
was not reached.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.settings import load_settings
from loadtest.goods import SKUS_MIN
from loadtest.installation import own_installation
from loadtest.report import REPORTS
from loadtest.stage import fill, import_catalog
from loadtest.traffic import Figures, Traffic

HTML = REPORTS / "locust.html"
# The users' first second, in which they start one after the other, is in the mean.
RATE_REACHED = 0.95


def run(
    rate: Annotated[int, typer.Option(help="Requests a second", min=4)] = 1_000,
    seconds: Annotated[int, typer.Option(help="How long", min=1)] = 60,
    data_dir: Annotated[
        Path | None, typer.Option(help="Of an installation that runs already; goods are added to it")
    ] = None,
) -> None:
    """Browse, price, coupons, cart, checkout, pay, orders: at a constant rate, with zero errors."""
    console = Console()
    with contextlib.ExitStack() as stack:
        settings = load_settings(data_dir) if data_dir else stack.enter_context(own_installation()).settings
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rushcart-locust-")))
        import_catalog(Path(settings.data_dir), SKUS_MIN)
        stage = fill(settings.base_url(), settings)
        traffic = Traffic(settings.base_url(), stage, folder, rate=rate, seconds=seconds, html=HTML)
        stack.callback(traffic.stop)
        figures = traffic.figures()
    show(figures, console)
    console.print(f"Charts: {HTML}")
    for error in figures.errors:
        console.print(error, style="red", markup=False)
    reached = figures.total.requests_per_s >= rate * RATE_REACHED
    if not reached:
        console.print(f"The rate of {rate} requests/s was not reached.", style="red")
    raise typer.Exit(1 if figures.errors or not reached else 0)


def show(figures: Figures, console: Console) -> None:
    table = Table(title="Latency, milliseconds")
    table.add_column("call", no_wrap=True)
    for name in ("requests", "failed", "requests/s", "p50", "p95", "p99"):
        table.add_column(name, justify="right")
    for call in [*figures.calls, figures.total]:
        table.add_row(
            call.name,
            f"{call.requests:,}",
            str(call.failures),
            f"{call.requests_per_s:,.1f}",
            *(f"{ms:.0f}" for ms in (call.latency_ms_p50, call.latency_ms_p95, call.latency_ms_p99)),
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(run)
