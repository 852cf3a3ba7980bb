"""Chooses for the buyer: within choice groups of promotions, and among coupons.

Enters entries, leaves those of them that make the cart cheapest. The search is exact while there are no more
than `COMBINATIONS_MAX` combinations, and bounded beyond that: it then takes one choice after the other, the
best first. Of two equally cheap sets of coupons the smaller one wins, so that none is spent for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod

from app.pricing.lines import Line
from app.pricing.plan import in_order
from app.pricing.schemas import Rejected
from app.pricing.walk import Entry, rejection, start, walk_on

# One combination costs 2 to 10 µs, so the exact search stays below 3 ms.
COMBINATIONS_MAX = 256
# Beyond the exact search only the coupons that save most alone are tried: more are not worth the time.
CANDIDATES_MAX = 20


class Tries:
    """Prices many sets of coupons for one cart: what comes before the first coupon is done once."""

    def __init__(self, promotions: list[Entry], coupons: list[Entry], lines: Sequence[Line]) -> None:
        first_lane = min((entry.rule.lane for entry in coupons), default=0)
        before = [entry for entry in promotions if entry.rule.lane < first_lane]
        self._after = promotions[len(before) :]
        self._lines = lines
        self._walked = walk_on(start(lines), before, lines)

    def payable_minor(self, coupons: list[Entry]) -> int:
        entries = in_order(self._after, coupons)
        return sum(walk_on(self._walked.branch(), entries, self._lines).left)


def settle_choice_groups(promotions: list[Entry], coupons: list[Entry], lines: Sequence[Line]) -> list[Entry]:
    """Of each choice group keep the promotion with which the cart, coupons included, is cheapest."""
    named = [entry for entry in promotions if entry.rule.choice_group is not None]
    if len(named) < 2:
        return promotions
    grouped = _by_name((entry.rule.choice_group, entry) for entry in named)
    groups = [group for group in grouped if len(group) > 1]
    if not groups:
        return promotions

    def payable_minor(winners: Iterable[Entry]) -> int:
        entries = in_order(_only(winners, groups, promotions), coupons)
        return sum(walk_on(start(lines), entries, lines).left)

    if prod(len(group) for group in groups) <= COMBINATIONS_MAX:
        best = min(product(*groups), key=payable_minor)
        return _only(best, groups, promotions)
    winners = [group[0] for group in groups]
    for place, group in enumerate(groups):
        trials = [[*winners[:place], entry, *winners[place + 1 :]] for entry in group]
        winners = min(trials, key=payable_minor)
    return _only(winners, groups, promotions)


def best_coupons(promotions: list[Entry], coupons: list[Entry], lines: Sequence[Line]) -> list[Entry]:
    """The set of coupons, one of a stack category at most, with which the cart is cheapest."""
    tries = Tries(promotions, coupons, lines)
    without = tries.payable_minor([])
    # A coupon that saves nothing alone saves nothing beside others: they only leave less for it.
    alone = {entry: tries.payable_minor([entry]) for entry in coupons}
    useful = [entry for entry in coupons if alone[entry] < without]
    groups = _by_name((entry.rule.stack_category, entry) for entry in useful)
    if prod(len(group) + 1 for group in groups) <= COMBINATIONS_MAX:
        options = product(*([None, *group] for group in groups))
        sets = [[entry for entry in useful if entry in option] for option in options]
        return min(sets, key=lambda chosen: (tries.payable_minor(chosen), len(chosen)))
    strongest = sorted(useful, key=alone.__getitem__)[:CANDIDATES_MAX]
    return _one_by_one(tries, [entry for entry in useful if entry in strongest], without)


def _one_by_one(tries: Tries, candidates: list[Entry], payable_minor: int) -> list[Entry]:
    """Add what saves most beside those already chosen, until nothing saves more."""
    chosen: list[Entry] = []
    while open_ones := [entry for entry in candidates if _may_join(entry, chosen)]:
        sets = [[each for each in candidates if each is entry or each in chosen] for entry in open_ones]
        results = [tries.payable_minor(each) for each in sets]
        if min(results) >= payable_minor:
            break
        payable_minor = min(results)
        chosen = sets[results.index(payable_minor)]
    return chosen


def _may_join(entry: Entry, chosen: Sequence[Entry]) -> bool:
    category = entry.rule.stack_category
    return entry not in chosen and (
        category is None or all(each.rule.stack_category != category for each in chosen)
    )


def why_left_out(
    entry: Entry, chosen: Sequence[Entry], promotions: list[Entry], lines: Sequence[Line]
) -> Rejected:
    """Why a coupon that may apply is not among the chosen ones."""
    rule = entry.rule
    walk = walk_on(start(lines), in_order(promotions, [entry]), lines)
    for miss in walk.misses:
        if miss.entry is entry:
            return rejection(miss)
    taken = {each.rule.stack_category for each in chosen} - {None}
    code = "stack_conflict" if rule.stack_category in taken else "better_without"
    return Rejected("coupon", entry.rule_id, rule.name, code)


def _by_name(named: Iterable[tuple[str | None, Entry]]) -> list[list[Entry]]:
    """Entries of one name together; each without a name is a group of its own."""
    groups: dict[str | Entry, list[Entry]] = {}
    for name, entry in named:
        groups.setdefault(entry if name is None else name, []).append(entry)
    return list(groups.values())


def _only(winners: Iterable[Entry], groups: list[list[Entry]], promotions: list[Entry]) -> list[Entry]:
    losers = {entry for group in groups for entry in group}.difference(winners)
    return [entry for entry in promotions if entry not in losers]
