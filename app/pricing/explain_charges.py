"""Why freight and tax are what they are: which template or rule, what it looked at, what each line bears.

Pure. Told is what `charge` has computed; the amounts are taken from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.pricing.book import PriceBook
from app.pricing.charges import Charges, pack
from app.pricing.lines import Basket
from app.pricing.regions import narrowest_first
from app.pricing.tax import TaxRule, rule_of


class ChargedLine(Struct, frozen=True, gc=False, omit_defaults=True):
    """`looked_at`: its grams, units or taxed minor units; `amount_minor` of freight before any was freed."""

    sku_id: str
    looked_at: int
    amount_minor: int
    freed_minor: int = 0


class ExplainedCharge(Struct, frozen=True, gc=False, omit_defaults=True):
    """One parcel's freight, or the tax by one rule.

    `kind` is `freight`, `tax` (on top) or `tax_included` (part of the price, and of no sum); `basis` is
    `weight`, `quantity` or `amount`; `region` is the one that the fee or the rule is of, "" any.
    """

    kind: str
    rule_id: str
    region: str
    basis: str
    looked_at: int
    amount_minor: int
    lines: list[ChargedLine]
    rate_bp: int | None = None
    # what it must cost together to be sent for nothing, and what it cost
    free_above_minor: int | None = None
    costs_minor: int | None = None
    # the document's
    version: int | None = None


def explain_charges(
    basket: Basket, costs: Sequence[int], charges: Charges, book: PriceBook, region: str | None
) -> list[ExplainedCharge]:
    """`costs`: what each line costs after promotions and coupons."""
    freights = [] if region is None else _freights(basket, costs, charges, book, region)
    return freights + _taxes(basket, costs, charges, book, region)


def _freights(
    basket: Basket, costs: Sequence[int], charges: Charges, book: PriceBook, region: str
) -> list[ExplainedCharge]:
    freed = [0] * len(costs)
    for each, amounts in charges.freed:
        for index, amount in zip(each.indexes, amounts, strict=True):
            freed[index] += amount
    told = []
    for parcel in pack(basket, book):
        template = parcel.template
        fee = template.fee_for(region)
        if fee is None:
            continue
        lines = []
        for index in parcel.indexes:
            line = basket.lines[index]
            measure = line.quantity * (line.sku.weight_grams if fee.basis == "weight" else 1)
            gross_minor = charges.freight[index] + freed[index]
            lines.append(ChargedLine(line.sku.sku_id, measure, gross_minor, freed[index]))
        told.append(
            ExplainedCharge(
                "freight",
                template.template_id,
                next(key for key in narrowest_first(region) if key in template.fees),
                fee.basis,
                sum(line.looked_at for line in lines),
                sum(line.amount_minor for line in lines),
                lines,
                free_above_minor=fee.free_above_minor,
                costs_minor=sum(costs[index] for index in parcel.indexes),
            )
        )
    return told


def _taxes(
    basket: Basket, costs: Sequence[int], charges: Charges, book: PriceBook, region: str | None
) -> list[ExplainedCharge]:
    by_rule: dict[str, tuple[TaxRule, list[ChargedLine]]] = {}
    for index in basket.tie_order:
        sku = basket.lines[index].sku
        rule = rule_of(sku, region, book.taxes_by_region)
        if rule is None:
            continue
        taxed = costs[index] + (charges.freight[index] if rule.applies_to_freight else 0)
        amounts = charges.tax_included if rule.included else charges.tax
        _, lines = by_rule.setdefault(rule.tax_rule_id, (rule, []))
        lines.append(ChargedLine(sku.sku_id, taxed, amounts[index]))
    return [
        ExplainedCharge(
            "tax_included" if rule.included else "tax",
            rule.tax_rule_id,
            next(key for key in narrowest_first(region) if key in rule.regions),
            "amount",
            sum(line.looked_at for line in lines),
            sum(line.amount_minor for line in lines),
            lines,
            rate_bp=rule.rate_bp,
        )
        for rule, lines in by_rule.values()
    ]
