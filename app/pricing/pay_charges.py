"""What pays for freight and tax, once they are known, of what the buyer pays with instead of money.

Pure. Enters the walk, in which each means of payment has taken its part of the goods, and the charges; leaves
the walk with what of each was over and may pay charges taken as well: in the order of the lanes, split over
the lines by what is due of each. Neither the tax nor `free_above_minor` becomes another by it.
"""

from __future__ import annotations

from app.lib.money import WHOLE_BP, split_pro_rata
from app.pricing.charges import Charges
from app.pricing.documents import AmountOff
from app.pricing.rules import Rule, TakePoints
from app.pricing.walk import Entry, Step, Walk


def pay_charges(walk: Walk, charges: Charges) -> int:
    """What was paid of the charges in all. `walk.left` of a line falls below zero by what was paid of its."""
    due = [freight + tax for freight, tax in zip(charges.freight, charges.tax, strict=True)]
    of_goods = {step.entry: step for step in walk.steps if step.entry.rule.pays_charges}
    unused = [
        miss.entry for miss in walk.misses if miss.code == "gave_nothing" and miss.entry.rule.pays_charges
    ]
    paid_minor = 0
    for entry in sorted([*of_goods, *unused], key=_by_lane):
        step = of_goods.get(entry)
        parts = [due[index] for index in entry.indexes]
        more_minor = _over(entry.rule, 0 if step is None else step.total_minor, sum(parts))
        if not more_minor:
            continue
        amounts = split_pro_rata(more_minor, parts)
        for index, amount in zip(entry.indexes, amounts, strict=True):
            due[index] -= amount
            walk.left[index] -= amount
        _note(walk, entry, step, amounts)
        paid_minor += more_minor
    return paid_minor


def _over(rule: Rule, given_minor: int, due_minor: int) -> int:
    """What is left of it for so much that is due. Points stay whole, and within the part they may pay."""
    match rule.effect:
        case AmountOff(amount_minor=balance_minor):
            return min(balance_minor - given_minor, due_minor)
        case TakePoints(points=points, minor_per_point=worth, cap_bp=cap_bp):
            most_minor = due_minor * cap_bp // WHOLE_BP
            return min(points - given_minor // worth, most_minor // worth) * worth
    return 0


def _note(walk: Walk, entry: Entry, step: Step | None, amounts: list[int]) -> None:
    """Its step, if it has one, now has these amounts too."""
    if step is None:
        walk.misses = [miss for miss in walk.misses if miss.entry is not entry]
        walk.steps.append(Step(entry, entry.indexes, amounts, sum(amounts)))
        return
    both = [goods + charge for goods, charge in zip(step.amounts, amounts, strict=True)]
    walk.steps[walk.steps.index(step)] = Step(entry, step.indexes, both, sum(both))


def _by_lane(entry: Entry) -> int:
    return entry.rule.lane
