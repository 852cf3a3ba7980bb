"""The usual effects on a single line: the same as effects.py gives, in a third of its steps.

Of a long list of rules most meet one line of a cart, and there is nothing to split. A property test compares
both ways (tests/pricing/test_one_line.py); what is not here, or lowers only some units, goes the general way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.lib.money import percent_half_up
from app.pricing.documents import AmountOff, FixedPrice, PercentOff, Tiers
from app.pricing.lines import Line


def percent_off(effect: PercentOff, _: Line, left_minor: int, base_minor: int) -> int:
    return min(percent_half_up(base_minor, effect.percent_bp), left_minor)


def amount_off(effect: AmountOff, line: Line, left_minor: int, _: int) -> int:
    times = line.quantity if effect.per == "unit" else 1
    return min(effect.amount_minor * times, left_minor)


def tiers(effect: Tiers, line: Line, left_minor: int, base_minor: int) -> int:
    by_amount = effect.tiers[0].min_amount_minor is not None
    reached = base_minor if by_amount else line.quantity
    amount_minor = 0
    for tier in effect.tiers:  # the highest first: rules.py has sorted them
        threshold = tier.threshold
        if reached < threshold:
            continue
        if tier.percent_bp is not None:
            return min(percent_half_up(base_minor, tier.percent_bp), left_minor)
        steps, reached = divmod(reached, threshold) if effect.repeat else (1, 0)
        amount_minor += steps * (tier.amount_off_minor or 0)
    return min(amount_minor, left_minor)


def fixed_price(effect: FixedPrice, line: Line, left_minor: int, _: int) -> int:
    return max(0, left_minor - effect.price_minor * line.quantity)


OneLineFunction = Callable[[Any, Line, int, int], int]
# each enters with its line, what is left of it, and what its percentage looks at
ONE_LINE: dict[type, OneLineFunction] = {
    PercentOff: percent_off,
    AmountOff: amount_off,
    Tiers: tiers,
    FixedPrice: fixed_price,
}
