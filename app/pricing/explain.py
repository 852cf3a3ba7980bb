"""Why a cart costs what it costs: each rule in its order, what it looked at, what it gave to which line.

Pure. The same rules are applied by the same engine as in pricing; here the walk is told as a story.
"""

from __future__ import annotations

from msgspec import Struct

from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer
from app.pricing.engine import apply_rules
from app.pricing.lines import resolve
from app.pricing.rules import Rule
from app.pricing.schemas import CartRequest, Rejected
from app.pricing.walk import Step, rejection


class StepLine(Struct, frozen=True, gc=False):
    """One line of a step. `looked_at_minor`: what it came to for the rule's condition and percentage."""

    sku_id: str
    looked_at_minor: int
    gave_minor: int
    left_minor: int


class ExplainedStep(Struct, frozen=True, gc=False):
    lane: str
    kind: str
    rule_id: str
    name: str
    effect: str
    looked_at_minor: int
    gave_minor: int
    lines: list[StepLine]


class Explained(Struct, frozen=True, gc=False):
    """`rejected` names every rule that could have applied and gave nothing."""

    steps: list[ExplainedStep]
    rejected: list[Rejected]


def explain(cart: CartRequest, book: PriceBook, buyer: Buyer, now_ms: int) -> Explained:
    """Raises as `price` does. Freight and tax come after the rules and are not told here."""
    basket = resolve(cart, book, now_ms)
    walk, rejected = apply_rules(cart, book, buyer, basket)
    left = [line.goods_minor for line in basket.lines]

    def told(step: Step) -> ExplainedStep:
        rule = step.entry.rule
        lines = []
        for index, amount in zip(step.indexes, step.amounts, strict=True):
            line = basket.lines[index]
            looked_at = line.list_price_minor * line.quantity if rule.on_list_price else left[index]
            left[index] -= amount
            lines.append(StepLine(line.sku.sku_id, looked_at, amount, left[index]))
        return _step(rule, step.entry.rule_id, lines, book.lanes)

    steps = [told(step) for step in walk.steps]
    for entry in [*(freed.entry for freed in walk.freed), *(gift.entry for gift in walk.given)]:
        lines = [_as_is(basket.lines[index].sku.sku_id, left[index]) for index in entry.indexes]
        steps.append(_step(entry.rule, entry.rule_id, lines, book.lanes))
    return Explained(steps, [*rejected, *(rejection(miss) for miss in walk.misses)])


def _as_is(sku_id: str, left_minor: int) -> StepLine:
    """A line that a rule counts without lowering it: freed freight and gifts are no part of its price."""
    return StepLine(sku_id, left_minor, 0, left_minor)


def _step(rule: Rule, rule_id: str, lines: list[StepLine], lanes: tuple[str, ...]) -> ExplainedStep:
    return ExplainedStep(
        lanes[rule.lane],
        rule.kind,
        rule_id,
        rule.name,
        str(rule.effect.__struct_config__.tag),
        sum(line.looked_at_minor for line in lines),
        sum(line.gave_minor for line in lines),
        lines,
    )
