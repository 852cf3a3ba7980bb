"""What each kind of effect takes off the lines in its scope.

An effect enters with its rule and the lines in scope; it leaves an amount per line that is never above what
is left of that line. A new kind is a document in documents.py and a function in `EFFECTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd, lcm
from typing import Any

from msgspec import Struct

from app.lib.money import WHOLE_BP, percent_half_up, split_pro_rata
from app.pricing.documents import AddonPrice, AmountOff, Bundle, BuyXGetY, FixedPrice, PercentOff, Tiers
from app.pricing.lines import Line
from app.pricing.rules import Rule, TakePoints


class InScope(Struct, gc=False, eq=False):
    """The lines that a rule may lower: `left[n]` remains of line `indexes[n]`."""

    lines: Sequence[Line]
    indexes: Sequence[int]
    left: list[int]
    # what its condition and percentage look at: list prices, or what earlier rules have left
    base: list[int]
    # the lines that fulfil its condition, where it lowers others
    bought: Sequence[int] | None = None

    def quantities(self) -> list[int]:
        return [self.lines[index].quantity for index in self.indexes]


def in_scope(
    rule: Rule,
    lines: Sequence[Line],
    indexes: Sequence[int],
    left: Sequence[int],
    bought: Sequence[int] | None = None,
) -> InScope:
    """`left` is what remains of each line of the cart."""
    left_in_scope = [left[index] for index in indexes]
    if not rule.on_list_price:
        return InScope(lines, indexes, left_in_scope, left_in_scope, bought)
    base = [lines[index].list_price_minor * lines[index].quantity for index in indexes]
    return InScope(lines, indexes, left_in_scope, base, bought)


def percent_off(rule: Rule, effect: PercentOff, scope: InScope) -> list[int]:
    return _percentage(rule, effect.percent_bp, scope, _units(rule, scope))


def amount_off(rule: Rule, effect: AmountOff, scope: InScope) -> list[int]:
    if effect.per == "order":
        return _amount(rule, effect.amount_minor, scope)
    units = _units(rule, scope)
    parts, scale = _portion(scope.left, units, scope)
    times = [1] * len(parts) if effect.per == "line" else (units or scope.quantities())
    return [min(effect.amount_minor * each, part // scale) for each, part in zip(times, parts, strict=True)]


def tiers(rule: Rule, effect: Tiers, scope: InScope) -> list[int]:
    by_amount = effect.tiers[0].min_amount_minor is not None
    reached = sum(scope.base if by_amount else scope.quantities())
    amount_minor = 0
    for tier in effect.tiers:  # the highest first: rules.py has sorted them
        if reached < tier.threshold:
            continue
        if tier.percent_bp is not None:
            return _percentage(rule, tier.percent_bp, scope, _units(rule, scope))
        steps, rest = divmod(reached, tier.threshold) if effect.repeat else (1, 0)
        amount_minor += steps * (tier.amount_off_minor or 0)
        reached = rest
    return _amount(rule, amount_minor, scope)


def fixed_price(rule: Rule, effect: FixedPrice | AddonPrice, scope: InScope) -> list[int]:
    units = _units(rule, scope)
    parts, scale = _portion(scope.left, units, scope)
    prices = [effect.price_minor * each for each in units or scope.quantities()]
    return [max(0, part // scale - price) for part, price in zip(parts, prices, strict=True)]


def bundle(rule: Rule, effect: Bundle, scope: InScope) -> list[int]:
    needed = effect.sku_quantities
    units = _units(rule, scope) or scope.quantities()
    held = {scope.lines[index].sku.sku_id: each for index, each in zip(scope.indexes, units, strict=True)}
    sets = min([held.get(sku_id, 0) // each for sku_id, each in needed.items()])
    in_sets = [sets * needed.get(scope.lines[index].sku.sku_id, 0) for index in scope.indexes]
    parts, scale = _portion(scope.left, in_sets, scope)
    return split_pro_rata(max(0, sum(parts) // scale - sets * effect.price_minor), parts)


def buy_x_get_y(rule: Rule, effect: BuyXGetY, scope: InScope) -> list[int]:
    """`get_quantity` units of every full set; which of them, `get_pick` says by what a unit costs now."""
    bought = scope.indexes if scope.bought is None else scope.bought
    quantities = scope.quantities()
    buy_units = sum([scope.lines[index].quantity for index in bought])
    get_units = sum(quantities)
    both = set(bought).intersection(scope.indexes)
    both_units = sum([scope.lines[index].quantity for index in both])
    buy, get = effect.buy_quantity, effect.get_quantity
    sets = min(buy_units // buy, get_units // get, (buy_units + get_units - both_units) // (buy + get))
    sets = min(sets, effect.max_times or sets)
    # Units that could be either are bought where there are too few that can only be bought.
    both_free = both_units - max(0, sets * buy - (buy_units - both_units))
    most = _units(rule, scope) or quantities
    base = scope.base
    scale = lcm(*quantities)
    costs = [amount * (scale // quantity) for amount, quantity in zip(base, quantities, strict=True)]
    wanted = sets * get
    units = [0] * len(base)
    for place in sorted(range(len(base)), key=costs.__getitem__, reverse=effect.get_pick == "dearest"):
        units[place] = min(most[place], wanted)
        if scope.indexes[place] in both:
            units[place] = min(units[place], both_free)
            both_free -= units[place]
        wanted -= units[place]
    return _percentage(rule, effect.get_percent_bp, scope, units)


def take_points(_: Rule, effect: TakePoints, scope: InScope) -> list[int]:
    """As many whole points as are asked for, fit under the cap, and leave no line below zero."""
    left = sum(scope.left)
    points = min(effect.points, min(left, left * effect.cap_bp // WHOLE_BP) // effect.minor_per_point)
    return split_pro_rata(points * effect.minor_per_point, scope.left)


def _percentage(rule: Rule, percent_bp: int, scope: InScope, units: Sequence[int] | None) -> list[int]:
    parts, scale = (scope.base, 1) if units is None else _portion(scope.base, units, scope)
    amounts = split_pro_rata(percent_half_up(sum(parts), percent_bp, scale), parts)
    if rule.on_list_price:  # of the list price it can come to more than what is left
        return [min(amount, left) for amount, left in zip(amounts, scope.left, strict=True)]
    return amounts if scale == 1 else _within(scope.left, parts, amounts)


def _amount(rule: Rule, amount_minor: int, scope: InScope) -> list[int]:
    if rule.max_quantity is None:
        return split_pro_rata(min(amount_minor, sum(scope.left)), scope.left)
    parts, scale = _portion(scope.left, _units(rule, scope), scope)
    return split_pro_rata(min(amount_minor, sum(parts) // scale), parts)


def _units(rule: Rule, scope: InScope) -> list[int] | None:
    """How many units of each line get the discount; None: all."""
    units_max = rule.max_quantity
    if units_max is None:
        return None
    return [min(quantity, units_max) for quantity in scope.quantities()]


def _portion(amounts: list[int], units: Sequence[int] | None, scope: InScope) -> tuple[list[int], int]:
    """These units' part of each line's amount, as `parts / scale`, so that no fraction is lost.

    Of whole lines it is the amounts themselves, with a scale of 1.
    """
    if units is None:
        return amounts, 1
    quantities = scope.quantities()
    scale = lcm(*[quantity // gcd(quantity, each) for quantity, each in zip(quantities, units, strict=True)])
    parts = [
        amount * each * scale // quantity
        for amount, each, quantity in zip(amounts, units, quantities, strict=True)
    ]
    return parts, scale


def _within(left: Sequence[int], parts: Sequence[int], amounts: list[int]) -> list[int]:
    """The amounts, none above what is left of its line.

    A sum of fractions that was rounded up can come to one more than its whole lines hold: another has it.
    """
    kept = [min(amount, most) for amount, most in zip(amounts, left, strict=True)]
    excess = sum(amounts) - sum(kept)
    for place, most in enumerate(left):
        if excess == 0:
            break
        more = min(excess, most - kept[place]) if parts[place] else 0
        kept[place] += more
        excess -= more
    return kept


EffectFunction = Callable[[Rule, Any, InScope], list[int]]
EFFECTS: dict[type, EffectFunction] = {
    PercentOff: percent_off,
    AmountOff: amount_off,
    Tiers: tiers,
    FixedPrice: fixed_price,
    BuyXGetY: buy_x_get_y,
    Bundle: bundle,
    AddonPrice: fixed_price,
    TakePoints: take_points,
}
