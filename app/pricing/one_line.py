"""The usual effects on a single line: the same as effects.py gives, in a third of its steps.

Of a long list of rules most meet one line of a cart, and there is nothing to split. Enters an effect, once,
when its rule is made; leaves the function that lowers a line by it. Where only money counts the same function
lowers several lines by their sum, which the walk then splits. Property tests compare with the general way
(tests/pricing/test_one_line.py), which all else goes, as does a rule that lowers only some units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.lib.money import percent_half_up
from app.pricing.documents import AmountOff, FixedPrice, PercentOff, Tiers

# with the line's quantity, what is left to be paid of it, and what a percentage looks at
OneLineFunction = Callable[[int, int, int], int]


def percent_off(effect: PercentOff) -> OneLineFunction:
    percent_bp = effect.percent_bp

    def lower(_: int, left_minor: int, base_minor: int) -> int:
        amount_minor = percent_half_up(base_minor, percent_bp)
        return amount_minor if amount_minor < left_minor else left_minor

    return lower


def amount_off(effect: AmountOff) -> OneLineFunction:
    given_minor, by_unit = effect.amount_minor, effect.per == "unit"

    def lower(quantity: int, left_minor: int, _: int) -> int:
        amount_minor = given_minor * quantity if by_unit else given_minor
        return amount_minor if amount_minor < left_minor else left_minor

    return lower


def tiers(effect: Tiers) -> OneLineFunction:
    by_amount, repeat = effect.tiers[0].min_amount_minor is not None, effect.repeat
    # the highest first: rules.py has sorted them
    steps = [(tier.threshold, tier.percent_bp, tier.amount_off_minor or 0) for tier in effect.tiers]

    def lower(quantity: int, left_minor: int, base_minor: int) -> int:
        reached = base_minor if by_amount else quantity
        amount_minor = 0
        for threshold, percent_bp, off_minor in steps:
            if reached < threshold:
                continue
            if percent_bp is not None:
                amount_minor = percent_half_up(base_minor, percent_bp)
                break
            if not repeat:
                amount_minor = off_minor
                break
            times, reached = divmod(reached, threshold)
            amount_minor += times * off_minor
        return amount_minor if amount_minor < left_minor else left_minor

    return lower


def fixed_price(effect: FixedPrice) -> OneLineFunction:
    unit_minor = effect.price_minor

    def lower(quantity: int, left_minor: int, _: int) -> int:
        price_minor = unit_minor * quantity
        return left_minor - price_minor if left_minor > price_minor else 0

    return lower


ONE_LINE: dict[type, Callable[[Any], OneLineFunction]] = {
    PercentOff: percent_off,
    AmountOff: amount_off,
    Tiers: tiers,
    FixedPrice: fixed_price,
}


def one_line(effect: Any) -> OneLineFunction | None:
    """None: there is no short way."""
    maker = ONE_LINE.get(type(effect))
    return None if maker is None else maker(effect)


def counts_no_units(effect: Any) -> bool:
    """Whether only money counts: then it lowers the sum of several lines as it lowers one."""
    match effect:
        case PercentOff() | AmountOff(per="order"):
            return True
        case Tiers():
            return effect.tiers[0].min_amount_minor is not None
    return False
