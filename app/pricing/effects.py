"""What each kind of effect takes off the lines in its scope.

An effect enters with its rule and the lines in scope; it leaves an amount per line that is never above what
is left of that line. A new kind is a document in documents.py and a function in `EFFECTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lcm
from typing import Any

from msgspec import Struct

from app.lib.money import percent_half_up, split_pro_rata
from app.pricing.documents import AmountOff, PercentOff, Tiers
from app.pricing.lines import Line
from app.pricing.rules import Rule


class InScope(Struct, gc=False, eq=False):
    """The lines that a rule may lower: `left[n]` remains of line `indexes[n]`."""

    lines: Sequence[Line]
    indexes: Sequence[int]
    left: list[int]

    def quantities(self) -> list[int]:
        return [self.lines[index].quantity for index in self.indexes]

    def base_amounts(self, rule: Rule) -> list[int]:
        """What its condition and percentage look at: list prices, or what earlier rules have left."""
        if not rule.on_list_price:
            return self.left
        chosen = [self.lines[index] for index in self.indexes]
        return [line.list_price_minor * line.quantity for line in chosen]


def percent_off(rule: Rule, effect: PercentOff, scope: InScope) -> list[int]:
    return _percentage(rule, effect.percent_bp, scope)


def amount_off(rule: Rule, effect: AmountOff, scope: InScope) -> list[int]:
    if effect.per == "order":
        return _amount(rule, effect.amount_minor, scope)
    parts, scale = _portion(rule, scope, scope.left)
    units = [1] * len(parts) if effect.per == "line" else scope.quantities()
    if rule.max_quantity is not None:
        units = [min(each, rule.max_quantity) for each in units]
    return [min(effect.amount_minor * each, part // scale) for each, part in zip(units, parts, strict=True)]


def tiers(rule: Rule, effect: Tiers, scope: InScope) -> list[int]:
    by_amount = effect.tiers[0].min_amount_minor is not None
    reached = sum(scope.base_amounts(rule) if by_amount else scope.quantities())
    amount_minor = 0
    for tier in effect.tiers:  # the highest first: rules.py has sorted them
        if reached < tier.threshold:
            continue
        if tier.percent_bp is not None:
            return _percentage(rule, tier.percent_bp, scope)
        steps, rest = divmod(reached, tier.threshold) if effect.repeat else (1, 0)
        amount_minor += steps * (tier.amount_off_minor or 0)
        reached = rest
    return _amount(rule, amount_minor, scope)


def _percentage(rule: Rule, percent_bp: int, scope: InScope) -> list[int]:
    parts, scale = _portion(rule, scope, scope.base_amounts(rule))
    amounts = split_pro_rata(percent_half_up(sum(parts), percent_bp, scale), parts)
    if rule.on_list_price:  # of the list price it can come to more than what is left
        return [min(amount, left) for amount, left in zip(amounts, scope.left, strict=True)]
    return amounts


def _amount(rule: Rule, amount_minor: int, scope: InScope) -> list[int]:
    if rule.max_quantity is None:
        return split_pro_rata(min(amount_minor, sum(scope.left)), scope.left)
    parts, scale = _portion(rule, scope, scope.left)
    return split_pro_rata(min(amount_minor, sum(parts) // scale), parts)


def _portion(rule: Rule, scope: InScope, amounts: list[int]) -> tuple[list[int], int]:
    """The part of each line that the rule works on, as `parts / scale`, so that no fraction is lost.

    It is the whole line with a scale of 1, unless `max_quantity` gives only some of the units the discount.
    """
    units_max = rule.max_quantity
    if units_max is None:
        return amounts, 1
    quantities = scope.quantities()
    scale = lcm(*quantities)
    parts = [
        amount * min(quantity, units_max) * (scale // quantity)
        for amount, quantity in zip(amounts, quantities, strict=True)
    ]
    return parts, scale


EffectFunction = Callable[[Rule, Any, InScope], list[int]]
EFFECTS: dict[type, EffectFunction] = {PercentOff: percent_off, AmountOff: amount_off, Tiers: tiers}
