"""The usual effects on a single line: the same as effects.py gives, in a third of its steps.

Of a long list of rules most meet one line of a cart, and there is nothing to split. A property test compares
both ways (tests/pricing/test_one_line.py); what is not here, or lowers only some units, goes the general way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.lib.money import percent_half_up
from app.pricing.documents import AmountOff, FixedPrice, PercentOff, Tiers


def percent_off(effect: PercentOff, _: int, left_minor: int, base_minor: int) -> int:
    amount_minor = percent_half_up(base_minor, effect.percent_bp)
    return amount_minor if amount_minor < left_minor else left_minor


def amount_off(effect: AmountOff, quantity: int, left_minor: int, _: int) -> int:
    amount_minor = effect.amount_minor * (quantity if effect.per == "unit" else 1)
    return amount_minor if amount_minor < left_minor else left_minor


def tiers(effect: Tiers, quantity: int, left_minor: int, base_minor: int) -> int:
    by_amount = effect.tiers[0].min_amount_minor is not None
    reached = base_minor if by_amount else quantity
    amount_minor = 0
    for tier in effect.tiers:  # the highest first: rules.py has sorted them
        threshold = (tier.min_amount_minor if by_amount else tier.min_quantity) or 0
        if reached < threshold:
            continue
        if tier.percent_bp is not None:
            return min(percent_half_up(base_minor, tier.percent_bp), left_minor)
        steps, reached = divmod(reached, threshold) if effect.repeat else (1, 0)
        amount_minor += steps * (tier.amount_off_minor or 0)
    return min(amount_minor, left_minor)


def fixed_price(effect: FixedPrice, quantity: int, left_minor: int, _: int) -> int:
    price_minor = effect.price_minor * quantity
    return left_minor - price_minor if left_minor > price_minor else 0


OneLineFunction = Callable[[Any, int, int, int], int]
# each enters with the line's quantity, what is left to be paid of it, and what a percentage looks at
ONE_LINE: dict[type, OneLineFunction] = {
    PercentOff: percent_off,
    AmountOff: amount_off,
    Tiers: tiers,
    FixedPrice: fixed_price,
}
