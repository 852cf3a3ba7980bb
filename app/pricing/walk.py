"""Applies rules one after the other, in their order, to what is left of each line.

Enters: entries (a rule and the lines in its scope) in the order of application, and what is left of each
line. Leaves: what each rule gave to which line, and why others gave nothing. No line goes below zero, and
the same entries on the same lines always give the same. Which entries there are is decided in plan.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

from msgspec import Struct

from app.lib.money import split_pro_rata
from app.pricing.audience import NotFor
from app.pricing.documents import Gift
from app.pricing.effects import EFFECTS, in_scope
from app.pricing.limits import Allowance
from app.pricing.lines import Line
from app.pricing.one_line import OneLineFunction
from app.pricing.rules import Rule
from app.pricing.schemas import Rejected

NO_LINES: frozenset[int] = frozenset()
# Of a lane and a line that something of it has lowered: whether that was exclusive.
Closed = dict[tuple[int, int], bool]


class Entry(Struct, frozen=True, gc=False, eq=False):
    """A rule that may apply. `rule_id` is the promotion's id, or the buyer's coupon's."""

    rule: Rule
    rule_id: str
    # its lines in scope, by SKU id: the order that decides ties, so that the cart's own order does not
    indexes: Sequence[int]
    # the lines that it lowers, where they are not those
    aimed: Sequence[int] | None = None
    # of a limited rule: what is left of it; or that it is not for this buyer
    allowance: Allowance | NotFor | None = None
    # whether the buyer has chosen it of its choice group, for some lines at least
    chosen: bool = False
    # what it comes down to where the others of its lines go to the best of its group, and that is another
    otherwise: Entry | None = None


class Step(Struct, frozen=True, gc=False, eq=False):
    """What one rule gave: `amounts[n]` to line `indexes[n]`, `total_minor` in all, always above zero."""

    entry: Entry
    indexes: Sequence[int]
    amounts: Sequence[int]
    total_minor: int


class Freed(Struct, frozen=True, gc=False, eq=False):
    """A rule that frees the freight of these lines, up to its `max_discount_minor`.

    What that comes to is known only when the freight is: after the walk.
    """

    entry: Entry
    indexes: Sequence[int]


class Given(Struct, frozen=True, gc=False, eq=False):
    """A rule that adds a gift."""

    entry: Entry
    gift: Gift


class Miss(Struct, frozen=True, gc=False, eq=False):
    """Why a rule gave nothing."""

    entry: Entry
    code: str
    missing_minor: int | None = None
    missing_quantity: int | None = None


Outcome = Step | Given | Freed | Miss


class Walk(Struct, gc=False, eq=False):
    """How far the rules have come. `left` is what remains to be paid of each line."""

    left: list[int]
    steps: list[Step]
    misses: list[Miss]
    freed: list[Freed] = []
    given: list[Given] = []
    # the lines lowered by promotions that bar coupons, and by coupons: neither takes the other's
    barred: frozenset[int] = NO_LINES
    couponed: frozenset[int] = NO_LINES

    def branch(self) -> Walk:
        """A walk that goes on from here by itself: of the story so far with what later rules depend on.

        That is the freight that is freed, and what limited rules gave: two coupons may be of one rule.
        """
        counted = [step for step in self.steps if step.entry.allowance is not None]
        return Walk(
            self.left.copy(), counted, [], self.freed.copy(), barred=self.barred, couponed=self.couponed
        )


def start(lines: Sequence[Line]) -> Walk:
    return Walk([line.goods_minor for line in lines], [], [])


def walk_on(walk: Walk, entries: Sequence[Entry], lines: Sequence[Line]) -> Walk:
    """Apply the entries to the walk, which is changed and returned.

    The entries of one lane come in one call: what is exclusive on a line, and which coupon category is
    taken, is remembered within a call only.
    """
    closed: Closed | None = None
    categories: set[str] = set()
    left, steps, began = walk.left, walk.steps, len(walk.steps)
    for entry in entries:
        rule = entry.rule
        if not rule.is_plain or closed is not None or entry.allowance is not None or entry.chosen:
            if rule.exclusive and closed is None:  # nobody has asked so far what the others have lowered
                closed = _closed_by(steps[began:])
            _take_turn(walk, entry, lines, closed, categories)
            continue
        indexes, lowers_one = entry.indexes, rule.lowers_one
        if lowers_one is None or len(indexes) != 1:
            _note(_apply(entry, indexes, entry.aimed, left, lines), walk)
            continue
        index = indexes[0]  # as most rules of a long list
        amount_minor = _lower_one(rule, lowers_one, lines[index], left[index])
        if amount_minor:
            left[index] -= amount_minor
            steps.append(Step(entry, indexes, [amount_minor], amount_minor))
        else:
            walk.misses.append(_miss_of_one(entry, lines[index], left[index]))
    return walk


def _take_turn(
    walk: Walk, entry: Entry, lines: Sequence[Line], closed: Closed | None, categories: set[str]
) -> None:
    """One entry's turn, with all that may keep it from a line."""
    rule, left = entry.rule, walk.left
    if rule.stack_category is not None and rule.stack_category in categories:
        walk.misses.append(Miss(entry, "stack_conflict"))
        return
    indexes, aimed = entry.indexes, entry.aimed
    if closed is not None:
        indexes = _open_lines(rule, indexes, closed)
        aimed = None if aimed is None else _open_lines(rule, aimed, closed)
    if walk.barred or rule.bars_coupons:
        apart = _kept_apart(rule, walk)
        indexes = [index for index in indexes if index not in apart]
        aimed = None if aimed is None else [index for index in aimed if index not in apart]
        if not indexes and rule.kind == "coupon":
            walk.misses.append(Miss(entry, "barred_by_promotion"))
    if not indexes or (aimed is not None and not aimed):
        if entry.chosen:
            walk.misses.append(Miss(entry, _why_no_lines(entry)))
        return
    if len(indexes) == 1 and rule.lowers_one is not None:
        index = indexes[0]
        amount_minor = _lower_one(rule, rule.lowers_one, lines[index], left[index])
        outcome: Outcome = (
            Step(entry, indexes, [amount_minor], amount_minor)
            if amount_minor
            else _miss_of_one(entry, lines[index], left[index])
        )
    else:
        outcome = _apply(entry, indexes, aimed, left, lines)
    if entry.allowance is not None:
        outcome = _within(entry.allowance, entry, outcome, walk)
    _note(outcome, walk)
    if isinstance(outcome, Miss):
        return
    if rule.stack_category is not None:
        categories.add(rule.stack_category)
    if isinstance(outcome, Step):
        if closed is not None:
            _note_closed(outcome, closed)
        if rule.bars_coupons or rule.kind == "coupon":
            _note_lowered(outcome, walk)


def _why_no_lines(chosen: Entry) -> str:
    """Of what the buyer chose: its lines are others' choice, or kept from it by what is exclusive there."""
    return "stack_conflict" if chosen.indexes and chosen.aimed != [] else "not_in_scope"


def _note(outcome: Outcome, walk: Walk) -> None:
    if isinstance(outcome, Step):
        walk.steps.append(outcome)
        left = walk.left
        for index, amount in zip(outcome.indexes, outcome.amounts, strict=True):
            left[index] -= amount
    elif isinstance(outcome, Miss):
        walk.misses.append(outcome)
    elif isinstance(outcome, Given):
        walk.given.append(outcome)
    else:
        walk.freed.append(outcome)


def _kept_apart(rule: Rule, walk: Walk) -> frozenset[int]:
    """The lines that this rule may not take: coupons and promotions that bar them never share one."""
    if rule.kind == "coupon":
        return walk.barred
    return walk.couponed if rule.bars_coupons else NO_LINES


def _closed_by(steps: Sequence[Step]) -> Closed:
    closed: Closed = {}
    for step in steps:
        _note_closed(step, closed)
    return closed


def _note_closed(step: Step, closed: Closed) -> None:
    rule = step.entry.rule
    for index in compress(step.indexes, step.amounts):
        closed[rule.lane, index] = rule.exclusive


def _note_lowered(step: Step, walk: Walk) -> None:
    lowered = frozenset(compress(step.indexes, step.amounts))
    if step.entry.rule.kind == "coupon":
        walk.couponed |= lowered
    else:
        walk.barred |= lowered


def rejection(miss: Miss) -> Rejected:
    """The miss as the summary tells it."""
    rule = miss.entry.rule
    return Rejected(
        rule.kind, miss.entry.rule_id, rule.name, miss.code, miss.missing_minor, miss.missing_quantity
    )


def _open_lines(rule: Rule, indexes: Sequence[int], closed: Closed) -> Sequence[int]:
    """An exclusive rule takes only lines that nothing of its lane has lowered; others keep off its lines."""
    lane = rule.lane
    if rule.exclusive:
        return [index for index in indexes if (lane, index) not in closed]
    return [index for index in indexes if not closed.get((lane, index))]


def _apply(
    entry: Entry,
    indexes: Sequence[int],
    aimed: Sequence[int] | None,
    left: list[int],
    lines: Sequence[Line],
) -> Outcome:
    rule = entry.rule
    if rule.lowers_sum is not None:
        return _lower_sum(entry, rule.lowers_sum, indexes, left)
    scope = in_scope(rule, lines, indexes, left)
    if rule.min_amount_minor or rule.min_quantity:
        missing_minor = rule.min_amount_minor - sum(scope.base)
        missing_quantity = rule.min_quantity - sum(scope.quantities()) if rule.min_quantity else 0
        if missing_minor > 0 or missing_quantity > 0:
            return _minimum_not_met(entry, missing_minor, missing_quantity)
    lowers = EFFECTS.get(type(rule.effect))
    if lowers is None:
        return Given(entry, rule.effect) if isinstance(rule.effect, Gift) else Freed(entry, indexes)
    if aimed is not None:
        scope = in_scope(rule, lines, aimed, left, bought=indexes)
        indexes = aimed
    amounts = lowers(rule, rule.effect, scope)
    total_minor = sum(amounts)
    if rule.max_discount_minor is not None and total_minor > rule.max_discount_minor:
        total_minor = rule.max_discount_minor
        amounts = split_pro_rata(total_minor, amounts)
    if total_minor == 0:
        return Miss(entry, "gave_nothing")
    return Step(entry, indexes, amounts, total_minor)


def _lower_sum(
    entry: Entry, lowers: OneLineFunction, indexes: Sequence[int], left: Sequence[int]
) -> Step | Miss:
    """Several lines as if they were one, whose discount is then split by what is left of each."""
    rule = entry.rule
    parts = [left[index] for index in indexes]
    whole_minor = sum(parts)
    if whole_minor < rule.min_amount_minor:
        return _minimum_not_met(entry, rule.min_amount_minor - whole_minor, 0)
    total_minor = lowers(0, whole_minor, whole_minor)  # it counts no units
    if total_minor == 0:
        return Miss(entry, "gave_nothing")
    amounts = split_pro_rata(total_minor, parts)
    most_minor = rule.max_discount_minor
    if most_minor is not None and total_minor > most_minor:
        return Step(entry, indexes, split_pro_rata(most_minor, amounts), most_minor)
    return Step(entry, indexes, amounts, total_minor)


def _lower_one(rule: Rule, lowers: OneLineFunction, line: Line, left_minor: int) -> int:
    """What the rule takes off its only line. 0: nothing, and `_miss_of_one` says why."""
    quantity = line.quantity
    base_minor = line.list_price_minor * quantity if rule.on_list_price else left_minor
    if base_minor < rule.min_amount_minor or quantity < rule.min_quantity:
        return 0
    amount_minor = lowers(quantity, left_minor, base_minor)
    most_minor = rule.max_discount_minor
    return amount_minor if most_minor is None or amount_minor < most_minor else most_minor


def _miss_of_one(entry: Entry, line: Line, left_minor: int) -> Miss:
    rule = entry.rule
    base_minor = line.list_price_minor * line.quantity if rule.on_list_price else left_minor
    missing_minor, missing_quantity = rule.min_amount_minor - base_minor, rule.min_quantity - line.quantity
    if missing_minor > 0 or missing_quantity > 0:
        return _minimum_not_met(entry, missing_minor, missing_quantity)
    return Miss(entry, "gave_nothing")


def _minimum_not_met(entry: Entry, missing_minor: int, missing_quantity: int) -> Miss:
    return Miss(
        entry,
        "minimum_not_met",
        missing_minor if missing_minor > 0 else None,
        missing_quantity if missing_quantity > 0 else None,
    )


def _within(left: Allowance | NotFor, entry: Entry, outcome: Outcome, walk: Walk) -> Outcome:
    """The outcome, or that too little is left of a limited rule.

    That nothing at all is left counts before a minimum that is not met: to buy more would not help.
    """
    given = [step.total_minor for step in walk.steps if step.entry.rule is entry.rule]
    rules = [freed.entry.rule for freed in walk.freed] + [gift.entry.rule for gift in walk.given]
    given += [0] * rules.count(entry.rule)
    code = left.refuses(outcome.total_minor if isinstance(outcome, Step) else 1, given)
    return outcome if code is None else Miss(entry, code)
