"""`rushcart rehearse`: a draft promotion on the orders of the last days, as a table and a chart.

Enters the file as `PUT /admin/promotions/{id}` takes it or GET gives it. Reads only; leaves the exit code: 0,
or 1 where the file cannot be rehearsed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
from rich.bar import Bar
from rich.console import Console
from rich.table import Table

from app.bootstrap import Services, open_services
from app.lib.bounds import Id
from app.lib.errors import AppError
from app.lib.money import decimals_of
from app.lib.sql import load
from app.orders.replay import gather
from app.pricing.documents import FreeFreight, Gift, PromotionDocument
from app.pricing.priced import PricedWith
from app.pricing.rules import Rule, milliseconds, promotion_rule
from app.promotions.rehearse import DEPTHS_BP, Rehearsal, Tally
from app.settings import Settings

sql = load("rehearse")
read_lines = load("explain").read_lines

# As many as a screen shows.
LEFT_OUT_SHOWN_MAX = 20
BAR_WIDTH = 40


class PromotionFile(PromotionDocument, frozen=True, kw_only=True):
    """With an id it stands in place of that promotion; without, it comes beside all others."""

    promotion_id: Id = ""


class UnreadableDraft(Exception):
    """With the reason, in a line."""


async def run_rehearse(settings: Settings, path: Path, *, days: int, orders_max: int) -> int:
    """Print what the promotion would do. Returns the exit code."""
    try:
        draft = _read_draft(path)
    except UnreadableDraft as unreadable:
        return _refuse(path, str(unreadable))
    async with open_services(settings, name="rehearse") as services:
        now = services.clock.now()
        if draft.ends_at is not None and draft.ends_at <= now:
            return _refuse(path, f"it is over since {draft.ends_at:%Y-%m-%d %H:%M} UTC")
        rule = promotion_rule(draft.promotion_id, draft, settings.lanes)
        rehearsal = Rehearsal(services.prices.book, rule, milliseconds(now))
        left_out = await _rehearse(services, rehearsal, days, orders_max)
    print_rehearsal(Console(), rule, rehearsal.tallies, left_out)
    return 0


def _read_draft(path: Path) -> PromotionFile:
    """Raises UnreadableDraft."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=PromotionFile)
    except OSError as error:
        raise UnreadableDraft(error.strerror) from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableDraft(error) from None


def _refuse(path: Path, why: str) -> int:
    sys.stderr.write(f"{path.name}: {why}\n")
    return 1


async def _rehearse(
    services: Services, rehearsal: Rehearsal, days: int, orders_max: int
) -> list[tuple[str, str]]:
    """Add the orders; returns those that cannot be replayed, with the reason."""
    left_out: list[tuple[str, str]] = []
    since = services.clock.now() - timedelta(days=days)
    rows = await services.pool.fetch(sql.newest_roots, since, orders_max)
    for row in reversed(rows):
        order_id = str(row["order_id"])
        if row["priced_with"] is None:
            left_out.append((order_id, "how it was priced is not on record"))
            continue
        priced_with = msgspec.convert(row["priced_with"], PricedWith)
        lines = await services.pool.fetch(read_lines, row["order_id"], priced_with.catalog_version)
        replay = await gather(services.pool, priced_with, row["currency"], lines, services.settings.lanes)
        try:
            rehearsal.add(order_id, row["buyer_id"], replay)
        except AppError as error:
            left_out.append((order_id, error.code))
    return left_out


def print_rehearsal(
    console: Console, rule: Rule, tallies: dict[str, Tally], left_out: list[tuple[str, str]]
) -> None:
    if tallies:
        console.print(_table(rule, tallies))
        console.print(_chart(tallies))
    else:
        console.print("No orders to rehearse with: try more --days.", highlight=False)
    for applies, says in (
        (isinstance(rule.effect, FreeFreight), "The freight that it frees is not counted."),
        (isinstance(rule.effect, Gift), "What its gifts cost is not counted."),
        (
            rule.audience is not None,
            "Regions, tags and first orders are known only of orders whose price depended on them.",
        ),
    ):
        if applies:
            console.print(says)
    if left_out:
        console.print(f"Orders that cannot be replayed: {len(left_out)}", highlight=False)
        for order_id, why in left_out[:LEFT_OUT_SHOWN_MAX]:
            console.print(f"  {order_id}: {why}", markup=False, highlight=False)
        if (more := len(left_out) - LEFT_OUT_SHOWN_MAX) > 0:
            console.print(f"  and {more} more", highlight=False)


def _table(rule: Rule, tallies: dict[str, Tally]) -> Table:
    """A column for each currency."""
    table = Table(title=f"Rehearsal of {rule.name}".replace("[", r"\["))
    table.add_column("")
    for currency in tallies:
        table.add_column(currency, justify="right")
    rows: list[tuple[str, Callable[[Tally, str], str]]] = [
        ("orders", lambda tally, _: str(tally.orders)),
        ("orders touched", lambda tally, _: str(tally.touched)),
        ("discount given", lambda tally, currency: _amount(tally.given_minor, currency)),
        ("their goods, without", lambda tally, currency: _amount(tally.without_minor, currency)),
        ("their goods, with", lambda tally, currency: _amount(tally.with_minor, currency)),
        ("lines of known cost", lambda tally, _: f"{tally.lines_with_cost} of {tally.lines}"),
        ("margin, without", lambda tally, currency: _margin(tally, tally.margin_without_minor, currency)),
        ("margin, with", lambda tally, currency: _margin(tally, tally.margin_with_minor, currency)),
        ("worst line", _worst),
    ]
    for name, show in rows:
        table.add_row(name, *(show(tally, currency) for currency, tally in tallies.items()))
    return table


def _margin(tally: Tally, margin_minor: int, currency: str) -> str:
    return _amount(margin_minor, currency) if tally.lines_with_cost else "unknown"


def _worst(tally: Tally, currency: str) -> str:
    line = tally.worst
    if line is None:
        return "none"
    cost = "unknown" if line.cost_minor is None else _amount(line.cost_minor, currency)
    before, after = _amount(line.without_minor, currency), _amount(line.with_minor, currency)
    where = f"{line.quantity} × {line.sku_id}".replace("[", r"\[")
    return f"{where} of {line.order_id}\n{before} → {after}, cost {cost}"


def _chart(tallies: dict[str, Tally]) -> Table:
    """How many orders get how much cheaper, of all currencies together."""
    bounds = [f"up to {depth_bp // 100} %" for depth_bp in DEPTHS_BP[1:]]
    counts = [sum(tally.dearer for tally in tallies.values())]
    counts += [sum(column) for column in zip(*(tally.depths for tally in tallies.values()), strict=True)]
    chart = Table("cheaper by", "", "orders", box=None)
    for name, count in zip(["dearer", "as before", *bounds], counts, strict=True):
        chart.add_row(name, Bar(max(counts), 0, count, width=BAR_WIDTH), str(count))
    return chart


def _amount(minor: int, currency: str) -> str:
    """In major units: 12345 is 123.45 in CNY, 12345 in JPY."""
    decimals = decimals_of(currency)
    digits = f"{abs(minor):0{decimals + 1}}"
    sign = "-" if minor < 0 else ""
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}" if decimals else f"{sign}{digits}"
