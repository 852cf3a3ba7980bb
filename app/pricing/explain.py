"""Why a cart costs what it costs: each rule in its order, what it looked at, what it gave to which line.

Pure. The same rules are applied by the same engine as in pricing; here the walk is told as a story: rules,
then freight and tax, then what pays for those.
"""

from __future__ import annotations

from msgspec import Struct

from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer
from app.pricing.charges import Charges, charge, costs_of
from app.pricing.engine import apply_rules
from app.pricing.explain_charges import ExplainedCharge, explain_charges
from app.pricing.lines import Basket, resolve
from app.pricing.pay_charges import pay_charges
from app.pricing.rules import Rule, TakePoints
from app.pricing.schemas import CartRequest, Rejected
from app.pricing.walk import Step, Walk, rejection


class StepLine(Struct, frozen=True, gc=False):
    """One line of a step. `looked_at_minor`: what it came to for the rule's condition and percentage."""

    sku_id: str
    looked_at_minor: int
    gave_minor: int
    left_minor: int


class ExplainedStep(Struct, frozen=True, gc=False, omit_defaults=True):
    lane: str
    kind: str
    rule_id: str
    name: str
    effect: str
    looked_at_minor: int
    gave_minor: int
    lines: list[StepLine]
    # the document's; None: of what the buyer paid with
    version: int | None = None


class Explained(Struct, frozen=True, gc=False):
    """`rejected` names every rule that could have applied and gave nothing."""

    steps: list[ExplainedStep]
    rejected: list[Rejected]
    charges: list[ExplainedCharge]


def explain(cart: CartRequest, book: PriceBook, buyer: Buyer, now_ms: int) -> Explained:
    """Raises as `price` does."""
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
    charges = charge(basket, walk, book, buyer.region)
    told_charges = []
    if charges is not None:
        told_charges = explain_charges(basket, costs_of(basket, walk), charges, book, buyer.region)
        steps += _payments(basket, walk, charges, book.lanes)
    return Explained(steps, [*rejected, *(rejection(miss) for miss in walk.misses)], told_charges)


def _payments(basket: Basket, walk: Walk, charges: Charges, lanes: tuple[str, ...]) -> list[ExplainedStep]:
    """What has paid freight and tax, beside what it had paid of the goods before."""
    before = {step.entry: step.amounts for step in walk.steps}
    due = [freight + tax for freight, tax in zip(charges.freight, charges.tax, strict=True)]
    told = []
    pay_charges(walk, charges)
    for step in walk.steps:
        of_goods = before.get(step.entry, [0] * len(step.amounts))
        if step.amounts == of_goods:
            continue
        lines = []
        for index, amount, goods_minor in zip(step.indexes, step.amounts, of_goods, strict=True):
            looked_at, paid_minor = due[index], amount - goods_minor
            due[index] -= paid_minor
            lines.append(StepLine(basket.lines[index].sku.sku_id, looked_at, paid_minor, due[index]))
        told.append(_step(step.entry.rule, step.entry.rule_id, lines, lanes))
    return told


def _as_is(sku_id: str, left_minor: int) -> StepLine:
    """A line that a rule counts without lowering it: freed freight and gifts are no part of its price."""
    return StepLine(sku_id, left_minor, 0, left_minor)


def _step(rule: Rule, rule_id: str, lines: list[StepLine], lanes: tuple[str, ...]) -> ExplainedStep:
    return ExplainedStep(
        lanes[rule.lane],
        rule.kind,
        rule_id,
        rule.name,
        "points" if isinstance(rule.effect, TakePoints) else str(rule.effect.__struct_config__.tag),
        sum(line.looked_at_minor for line in lines),
        sum(line.gave_minor for line in lines),
        lines,
    )
