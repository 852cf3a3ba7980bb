"""Chooses for the buyer: within choice groups of promotions, and among coupons.

Enters entries in the order of application, leaves those of them that make the cart cheapest. The search is
exact while it is small and bounded beyond that (`WALKS_MAX`, and STEPS_MAX of search.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import product
from math import prod

from msgspec.structs import replace

from app.pricing.documents import Gift
from app.pricing.lines import Line
from app.pricing.outlay import Outlay, total_minor
from app.pricing.plan import in_order
from app.pricing.schemas import Rejected
from app.pricing.search import Search
from app.pricing.walk import Entry, rejection, start, walk_on

# Rules applied while trying which promotions of the choice groups are best: 2 ms at 3 µs each. With more
# combinations than that one group is settled after the other.
RULES_APPLIED_MAX = 600
# With so many combinations of promotions the best coupons are searched, half a millisecond each: with all of
# them where there are no more, else with the most promising.
SEARCHES_MAX = 6
# Rules applied to tell what each coupon saves beside its own best promotions: 20 ms, for one screen.
SAVINGS_APPLIED_MAX = 6_000
# It would apply, and the cart would not be cheaper.
BETTER_WITHOUT = "better_without"
MINIMUM_NOT_MET = "minimum_not_met"

Promotions = list[Entry]


def settle_choice_groups(
    promotions: Promotions, coupons: list[Entry], lines: Sequence[Line], outlay: Outlay | None
) -> Promotions:
    """Of each choice group keep the promotion with which the cart, these coupons included, is cheapest."""

    def payable_minor(candidates: Promotions) -> int:
        return total_minor(walk_on(start(lines), in_order(candidates, coupons), lines), outlay)

    return _settle(promotions, payable_minor, RULES_APPLIED_MAX // max(1, len(promotions)))


def settle_with_best_coupons(
    promotions: Promotions, coupons: list[Entry], lines: Sequence[Line], outlay: Outlay | None
) -> tuple[Promotions, Search, list[Entry]]:
    """The promotions and the set of coupons with which the cart is cheapest, and the search that found it.

    Coupons for gifts come on top: they make it neither cheaper nor dearer.
    """

    def with_best_minor(kept: Promotions) -> int:
        return Search(kept, coupons, lines, outlay).best().payable_minor

    groups = _groups(promotions)
    if coupons and groups:
        settled = min(_promising(promotions, groups, coupons, lines, outlay), key=with_best_minor)
    else:
        settled = settle_choice_groups(promotions, [], lines, outlay)
    search = Search(settled, coupons, lines, outlay)
    best = _with_gifts(search.best().coupons, settled, coupons, lines)
    if groups:  # as if the buyer had named these coupons: never dearer
        settled = settle_choice_groups(promotions, best, lines, outlay)
    return settled, search, best


def _promising(
    promotions: Promotions,
    groups: list[Promotions],
    coupons: list[Entry],
    lines: Sequence[Line],
    outlay: Outlay | None,
) -> list[Promotions]:
    """What may be best with the coupons that are best beside it: everything, where that is not too much.

    Else what is best without coupons and what is best beside all of them, which may leave them more; and,
    where there is time to look at each, what is cheapest with one of them.
    """
    combinations = prod(len(group) for group in groups)
    if combinations <= SEARCHES_MAX:
        return list(_combinations(groups, promotions))
    without = settle_choice_groups(promotions, [], lines, outlay)
    beside_all = settle_choice_groups(promotions, coupons, lines, outlay)
    if combinations * (len(promotions) + len(coupons)) > RULES_APPLIED_MAX:
        return [without, beside_all]
    cheapest_first = sorted(
        _combinations(groups, promotions),
        key=lambda kept: Search(kept, coupons, lines, outlay).with_one_minor,
    )
    promising = cheapest_first[: SEARCHES_MAX - 2]
    return promising + [each for each in (without, beside_all) if each not in promising]


def savings(
    promotions: Promotions,
    sets: Sequence[list[Entry]],
    search: Search,
    lines: Sequence[Line],
    outlay: Outlay | None,
) -> list[int]:
    """What the buyer pays less with each of these sets of coupons, named alone.

    Of each choice group the promotion counts that is best beside them. Where that would take too long, those
    that are best beside the best coupons count for all sets.
    """

    def payable_minor(coupons: list[Entry]) -> int:
        settled = settle_choice_groups(promotions, coupons, lines, outlay)
        return total_minor(walk_on(start(lines), in_order(settled, coupons), lines), outlay)

    groups = _groups(promotions)
    applied = min(prod(len(group) for group in groups) * len(promotions), RULES_APPLIED_MAX)
    if not groups or applied * len(sets) > SAVINGS_APPLIED_MAX:
        return [search.saved_minor(each) for each in sets]
    without_minor = payable_minor([])
    return [without_minor - payable_minor(each) for each in sets]


def _with_gifts(
    best: list[Entry], promotions: Promotions, coupons: list[Entry], lines: Sequence[Line]
) -> list[Entry]:
    """The coupons for gifts that the cart meets beside the best ones; of one stack category the first."""
    taken = {entry.rule.stack_category for entry in best} - {None}
    gifts = [
        entry
        for entry in coupons
        if isinstance(entry.rule.effect, Gift) and entry.rule.stack_category not in taken
    ]
    if not gifts:
        return best
    both = [entry for entry in coupons if entry in best or entry in gifts]
    walk = walk_on(start(lines), in_order(promotions, both), lines)
    given = [each.entry for each in walk.given]
    return [entry for entry in both if entry in best or entry in given]


def why_left_out(
    entry: Entry, chosen: Sequence[Entry], promotions: Promotions, lines: Sequence[Line]
) -> Rejected:
    """Why a coupon that may apply is not chosen, and what one that lacks its minimum would give."""
    rule = entry.rule
    walk = walk_on(start(lines), in_order(promotions, [entry]), lines)
    for miss in walk.misses:
        if miss.entry is entry:
            rejected = rejection(miss)
            if miss.code == MINIMUM_NOT_MET:
                met = walk_on(start(lines), in_order(promotions, [_without_minimum(entry)]), lines)
                rejected = replace(rejected, gains_minor=sum(walk.left) - sum(met.left))
            return rejected
    taken = {each.rule.stack_category for each in chosen} - {None}
    code = "stack_conflict" if rule.stack_category in taken else BETTER_WITHOUT
    return Rejected("coupon", entry.rule_id, rule.name, code)


def _without_minimum(entry: Entry) -> Entry:
    return replace(entry, rule=replace(entry.rule, min_amount_minor=0, min_quantity=0))


def _settle(
    promotions: Promotions, payable_minor: Callable[[Promotions], int], combinations_max: int
) -> Promotions:
    groups = _groups(promotions)
    if not groups:
        return promotions
    if prod(len(group) for group in groups) <= combinations_max:
        return min(_combinations(groups, promotions), key=payable_minor)
    winners = [group[0] for group in groups]
    for place, group in enumerate(groups):
        trials = [[*winners[:place], entry, *winners[place + 1 :]] for entry in group]
        winners = min(trials, key=lambda trial: payable_minor(_only(trial, groups, promotions)))
    return _only(winners, groups, promotions)


def _groups(promotions: Promotions) -> list[Promotions]:
    """The choice groups that leave a choice."""
    named = [entry for entry in promotions if entry.rule.choice_group is not None and _is_open(entry)]
    if len(named) < 2:
        return []
    groups: dict[str | None, Promotions] = {}
    for entry in named:
        groups.setdefault(entry.rule.choice_group, []).append(entry)
    return [group for group in groups.values() if len(group) > 1]


def _combinations(groups: list[Promotions], promotions: Promotions) -> Iterator[Promotions]:
    """One of each group, and what is in none."""
    return (_only(winners, groups, promotions) for winners in product(*groups))


def _only(winners: Iterable[Entry], groups: list[Promotions], promotions: Promotions) -> Promotions:
    losers = {entry for group in groups for entry in group}.difference(winners)
    kept = [entry.otherwise if entry in losers else entry for entry in promotions]
    return [entry for entry in kept if entry is not None]


def _is_open(entry: Entry) -> bool:
    """Whether there are lines for which the buyer has not chosen."""
    return not entry.chosen or entry.otherwise is not None
