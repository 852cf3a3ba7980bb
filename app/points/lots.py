"""Which lots points come from and go back to.

Pure. Enters: a buyer's lots and a number of points. Leaves: how much of each. What ends first goes first, so
that a buyer loses as little as can be; what is owed is paid before a lot is filled.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct


class Lot(Struct, gc=False):
    lot_id: int
    remaining: int
    expires_at: datetime


def spend(lots: Iterable[Lot], points: int) -> list[tuple[int, int]]:
    """Take points from lots, in their order, which are lowered; (lot, points) of each, or fewer in all."""
    taken = []
    for lot in lots:
        part = min(lot.remaining, points)
        if part:
            lot.remaining -= part
            points -= part
            taken.append((lot.lot_id, part))
    return taken


def usable(lots: Iterable[Lot], now: datetime) -> list[Lot]:
    """Those that have not ended, the soonest first."""
    alive = [lot for lot in lots if lot.expires_at > now and lot.remaining]
    return sorted(alive, key=lambda lot: (lot.expires_at, lot.lot_id))


def after_debt(balance: int, points: int) -> int:
    """How many of these points a lot gets, when the account holds `balance`: what is owed is kept."""
    return max(0, points - max(0, -balance))
