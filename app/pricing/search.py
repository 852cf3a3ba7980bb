"""The set of coupons with which a cart is cheapest: branch and bound in the order of application.

Cheapest is what the buyer pays in the end, freight and tax included (outlay.py). Each step takes or leaves
one coupon and goes on from what is left of each line, so that sets share the work of what they begin with. A
branch is given up where it could not become cheaper even if every coupon still to come gave the most that it
ever can. Of two equally cheap sets the smaller one wins, so that none is spent for nothing, then the one
whose coupons end sooner.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.pricing.documents import (
    AddonPrice,
    AmountOff,
    Bundle,
    BuyXGetY,
    Effect,
    FixedPrice,
    FreeFreight,
    PercentOff,
    Tiers,
)
from app.pricing.lines import Line
from app.pricing.outlay import Floor, Outlay, total_minor
from app.pricing.plan import in_order
from app.pricing.rules import TakePoints
from app.pricing.walk import Entry, Walk, start, walk_on

# Applying a coupon takes about 10 µs on a cart of ten lines, so this ends within a millisecond. Six coupons
# that all lower each other's worth are searched whole (2^6 sets), far more where few do. Where there is no
# time for all, the best set that was seen counts, or what choosing one by one finds.
STEPS_MAX = 96
# Choosing one by one tries each beside each: 8 cost 36 steps. The others save least.
CANDIDATES_MAX = 8


class Found(NamedTuple):
    """The best set, in the order of application, and what the cart comes to with it."""

    payable_minor: int
    coupons: list[Entry]


class Search:
    """Sets of coupons on one cart with these promotions; both enter in the order of application."""

    def __init__(
        self,
        promotions: list[Entry],
        coupons: list[Entry],
        lines: Sequence[Line],
        outlay: Outlay | None = None,
    ) -> None:
        first_lane = min((entry.rule.lane for entry in coupons), default=0)
        before = [entry for entry in promotions if entry.rule.lane < first_lane]
        self._after = promotions[len(before) :]
        self._lines = lines
        self._from = walk_on(start(lines), before, lines)
        self._coupons = coupons
        self._outlay = outlay
        without = self._with([])
        self.without_minor = total_minor(without, outlay)
        walks = {entry: self._with([entry]) for entry in coupons}
        self._alone = {entry: total_minor(walk, outlay) for entry, walk in walks.items()}
        goods_minor = sum(without.left)
        self._off_goods = {entry: goods_minor - sum(walk.left) for entry, walk in walks.items()}

    @property
    def with_one_minor(self) -> int:
        """What the cart comes to with the best one of them, if one makes it cheaper."""
        return min([self.without_minor, *self._alone.values()])

    def payable_minor(self, coupons: list[Entry]) -> int:
        """What the cart comes to with exactly these coupons."""
        return total_minor(self._with(coupons), self._outlay)

    def _with(self, coupons: list[Entry]) -> Walk:
        return self._walk(self._from, in_order(self._after, coupons))

    def saved_minor(self, coupons: list[Entry]) -> int:
        """What the cart gets cheaper by with exactly these coupons."""
        if len(coupons) == 1:
            return self.without_minor - self._alone[coupons[0]]
        return self.without_minor - self.payable_minor(coupons)

    def best(self) -> Found:
        ceilings = {entry: self._most_minor(entry) for entry in (*self._coupons, *self._after)}
        useful = [entry for entry in self._coupons if ceilings[entry] or self._frees(entry)]
        self._floor: Floor | None = None
        if self._outlay is not None:
            self._floor = self._outlay.floor(self._from, (*useful, *self._after))
        self._stages = _stages(in_order(self._after, useful))
        self._rests_minor = _rests_minor(self._stages, ceilings)
        self._steps = 0
        self._best = Found(self.without_minor, [])
        self._visit(0, self._from, [])
        if self._steps >= STEPS_MAX:
            strongest = sorted(useful, key=self._alone.__getitem__)[:CANDIDATES_MAX]
            self._compare(*self._one_by_one([entry for entry in useful if entry in strongest]))
        return self._best

    def _visit(self, place: int, walk: Walk, taken: list[Entry]) -> None:
        """All that can become of these lines from this stage on, while there is time."""
        floor, goods_minor = self._floor, sum(walk.left)
        categories = {entry.rule.stack_category for entry in taken} - {None}
        for stage, rest_minor in zip(self._stages[place:], self._rests_minor[place:], strict=True):
            place += 1
            best = (self._best.payable_minor, len(self._best.coupons))
            least_minor = goods_minor - rest_minor
            if floor is not None:
                least_minor = floor.at_least_minor(least_minor)
            if (least_minor, len(taken)) >= best or self._steps >= STEPS_MAX:
                return
            coupon = stage[0]
            if coupon.rule.kind != "coupon":
                walk = self._walk(walk, stage)
                goods_minor = sum(walk.left)
            elif coupon.rule.stack_category not in categories:
                self._steps += 1
                with_it = self._walk(walk, stage)
                gave = bool(with_it.steps) and with_it.steps[-1].entry is coupon
                if gave or len(with_it.freed) > len(walk.freed):
                    self._visit(place, with_it, [*taken, coupon])
        if floor is None:
            self._compare(goods_minor, taken)
        elif floor.at_least_minor(goods_minor) <= self._best.payable_minor:
            self._compare(total_minor(walk, self._outlay), taken)

    def _frees(self, entry: Entry) -> bool:
        return self._outlay is not None and isinstance(entry.rule.effect, FreeFreight)

    def _compare(self, payable_minor: int, coupons: list[Entry]) -> None:
        if (payable_minor, len(coupons)) < (self._best.payable_minor, len(self._best.coupons)):
            self._best = Found(payable_minor, coupons)

    def _most_minor(self, entry: Entry) -> int:
        """The most that it can ever take off the goods, whatever is taken beside it."""
        # What is left of a budget may pay for less and not for more.
        if entry.allowance is None and gives_no_more_on_less(entry.rule.effect):
            if not self._after:
                return self._off_goods[entry]
            return sum(self._from.left) - sum(self._walk(self._from, [entry]).left)
        lowered = entry.indexes if entry.aimed is None else entry.aimed
        whole_minor = sum([self._from.left[index] for index in lowered])
        return min(whole_minor, entry.rule.max_discount_minor or whole_minor)

    def _one_by_one(self, candidates: list[Entry]) -> Found:
        """Add what saves most beside those already chosen, until nothing saves more."""
        best = Found(self.without_minor, [])
        while open_ones := [entry for entry in candidates if _may_join(entry, best.coupons)]:
            sets = [[one for one in candidates if one is entry or one in best.coupons] for entry in open_ones]
            found = min([Found(self.payable_minor(each), each) for each in sets], key=_by_payable)
            if found.payable_minor >= best.payable_minor:
                break
            best = found
        return best

    def _walk(self, walk: Walk, entries: Sequence[Entry]) -> Walk:
        return walk_on(walk.branch(), entries, self._lines)


def gives_no_more_on_less(effect: Effect | TakePoints) -> bool:
    """Whether what it gives can only shrink when other rules have lowered its lines before it."""
    match effect:
        case PercentOff() | AmountOff() | FixedPrice() | Bundle() | BuyXGetY() | AddonPrice():
            return True
        case Tiers(tiers=tiers, repeat=repeat):  # the highest first
            worth = [tier.percent_bp or tier.amount_off_minor or 0 for tier in tiers]
            one_kind = len({tier.percent_bp is None for tier in tiers}) == 1
            return one_kind and not (repeat and len(tiers) > 1) and worth == sorted(worth, reverse=True)
    return False


def _stages(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Each coupon by itself; promotions that come between or after them, a lane together."""
    stages: list[list[Entry]] = []
    for entry in entries:
        alike = stages and stages[-1][0].rule.lane == entry.rule.lane
        if alike and entry.rule.kind != "coupon":
            stages[-1].append(entry)
        else:
            stages.append([entry])
    return stages


def _rests_minor(stages: Sequence[Sequence[Entry]], ceilings: dict[Entry, int]) -> list[int]:
    """For each stage the most that it and all after it can give; of a stack category one coupon counts."""
    rests: list[int] = []
    rest = 0
    by_category: dict[str, int] = {}
    for stage in reversed(stages):
        for entry in stage:
            category = entry.rule.stack_category
            known = by_category.get(category, 0) if category is not None else 0
            if ceilings[entry] > known:
                rest += ceilings[entry] - known
                if category is not None:
                    by_category[category] = ceilings[entry]
        rests.append(rest)
    return rests[::-1]


def _may_join(entry: Entry, chosen: Sequence[Entry]) -> bool:
    category = entry.rule.stack_category
    return entry not in chosen and (
        category is None or all([each.rule.stack_category != category for each in chosen])
    )


def _by_payable(found: Found) -> int:
    return found.payable_minor
