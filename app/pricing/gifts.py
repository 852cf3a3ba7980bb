"""Gifts: lines that a rule adds to the cart and that cost nothing.

Enters what the walk says is given, leaves lines for the summary and the rules that gave them. A gift is an
order line like any other, its stock is reserved with the order. One that the gate's hint believes to be gone
is left out with a warning, and the cart is sold without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from app.catalog.snapshot import Sku
from app.pricing.book import PriceBook
from app.pricing.lines import Basket
from app.pricing.priced import PricedLine
from app.pricing.schemas import Discount, LineSummary
from app.pricing.walk import Entry, Given

SOLD_OUT = "gift_sold_out"


class Hints(Protocol):
    """What the gate believes to be free in a stock pool; None when it does not know."""

    def get(self, pool_id: int) -> int | None: ...


class Gifts(Struct, gc=False, eq=False):
    """What is added, by which rules, and the rules whose gift is gone: a coupon of them is not spent."""

    lines: list[PricedLine] = []
    applied: list[tuple[Entry, Discount]] = []
    gone: list[Given] = []


NONE = Gifts()


def pack_gifts(given: Sequence[Given], basket: Basket, book: PriceBook, hints: Hints | None) -> Gifts:
    if not given:
        return NONE
    gifts = Gifts()
    wanted: dict[int, int] = {}
    for line in basket.lines:
        wanted[line.pool_id] = wanted.get(line.pool_id, 0) + line.quantity
    for each in given:
        sku = book.skus.get(each.gift.sku_id)
        if sku is None:  # withdrawn since
            gifts.gone.append(each)
            continue
        units = wanted.get(sku.pool_id, 0) + each.gift.quantity
        free = None if hints is None else hints.get(sku.pool_id)
        if free is not None and units > free:
            gifts.gone.append(each)
            continue
        wanted[sku.pool_id] = units
        rule = each.entry.rule
        discount = Discount(rule.kind, each.entry.rule_id, rule.name, 0)
        gifts.lines.append(_line(sku, each.gift.quantity, basket.currency, discount))
        gifts.applied.append((each.entry, discount))
    return gifts


def _line(sku: Sku, quantity: int, currency: str, discount: Discount) -> PricedLine:
    """It names the rule that gave it, with an amount of zero: it counts in neither goods nor discount."""
    list_price_minor = sku.prices.get(currency, (0, 0))[1]
    summary = LineSummary(
        sku_id=sku.sku_id,
        quantity=quantity,
        unit_price_minor=0,
        list_price_minor=list_price_minor,
        goods_minor=0,
        discount_minor=0,
        freight_minor=0,
        tax_minor=0,
        payable_minor=0,
        available=True,
        max_quantity=quantity,
        discounts=[discount],
    )
    return PricedLine(sku, sku.pool_id, summary, 0, [], gift=True)
