"""How a price change is shared by an order's lines. Pure.

Enters: the lines as they were priced, and the request. Leaves: what is taken off each line, in all. Must
hold: no line costs less than nothing, and what is taken off freight is no more than the line's freight.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.lib.money import split_pro_rata
from app.price_changes.errors import PriceChangeMismatch, PriceChangeTooHigh
from app.price_changes.schemas import LineChange, PriceChangeRequest


class Line(Struct, frozen=True):
    """`price_minor` is without freight and without any change; `change_minor` the one that is in force."""

    line_id: int
    price_minor: int
    freight_minor: int
    change_minor: int

    def payable_minor(self, change_minor: int) -> int:
        return self.price_minor + self.freight_minor - change_minor


def share_change(lines: Sequence[Line], wanted: PriceChangeRequest) -> list[int]:
    """Raises PriceChangeTooHigh, PriceChangeMismatch."""
    prices = [line.price_minor for line in lines]
    off_prices = _by_line(lines, wanted.lines) if wanted.lines else _split(wanted.amount_minor, prices)
    off_freight = _split(wanted.freight_minor, [line.freight_minor for line in lines])
    return [sum(parts) for parts in zip(off_prices, off_freight, strict=True)]


def _split(off_minor: int, amounts: list[int]) -> list[int]:
    if off_minor > sum(amounts):
        raise PriceChangeTooHigh(f"at most {sum(amounts)}", most_minor=sum(amounts))
    return split_pro_rata(off_minor, amounts)


def _by_line(lines: Sequence[Line], wanted: Sequence[LineChange]) -> list[int]:
    off = {line.line_id: 0 for line in lines}
    named: set[int] = set()
    most = {line.line_id: line.price_minor for line in lines}
    for change in wanted:
        line_id = int(change.line_id)
        if line_id not in off or line_id in named:
            raise PriceChangeMismatch(f"line {line_id} is not there, or twice", line_id=change.line_id)
        if change.amount_minor > most[line_id]:
            raise PriceChangeTooHigh(
                f"at most {most[line_id]}", line_id=change.line_id, most_minor=most[line_id]
            )
        named.add(line_id)
        off[line_id] = change.amount_minor
    return list(off.values())
