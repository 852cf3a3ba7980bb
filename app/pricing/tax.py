"""Tax: by region and category, on top of the prices or contained in them.

One rule holds for a line. The tax of a shop's lines with one rate is rounded half up once, and split over
them in proportion to what is taxed; so the parts sum exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from app.catalog.snapshot import Sku
from app.charges.documents import TaxRuleDocument
from app.lib.money import WHOLE_BP, percent_half_up, split_pro_rata
from app.pricing.regions import ANYWHERE, narrowest_first


class TaxRule(Struct, frozen=True, gc=False, eq=False):
    """A rule made ready. `order`: one for categories before one for all, a shop's before everybody's."""

    tax_rule_id: str
    order: tuple[bool, bool, str]
    shop_id: str | None
    regions: tuple[str, ...]
    category_ids: frozenset[str]
    rate_bp: int
    included: bool
    applies_to_freight: bool
    address_required: bool

    def covers(self, sku: Sku) -> bool:
        if self.shop_id is not None and sku.shop_id != self.shop_id:
            return False
        return not self.category_ids or not self.category_ids.isdisjoint(sku.category_ids)


# The rules of each region, in their order; those of `ANYWHERE` under that.
TaxIndex = Mapping[str, Sequence[TaxRule]]


def tax_rule(tax_rule_id: str, document: TaxRuleDocument) -> TaxRule:
    return TaxRule(
        tax_rule_id,
        (not document.category_ids, document.shop_id is None, tax_rule_id),
        document.shop_id,
        tuple(document.regions) or (ANYWHERE,),
        frozenset(document.category_ids),
        document.rate_bp,
        document.included,
        document.applies_to_freight,
        document.address_required is True,
    )


def index_by_region(rules: Iterable[TaxRule]) -> dict[str, tuple[TaxRule, ...]]:
    index: dict[str, tuple[TaxRule, ...]] = {}
    for rule in sorted(rules, key=lambda rule: rule.order):
        for region in rule.regions:
            index[region] = (*index.get(region, ()), rule)
    return index


def rule_of(sku: Sku, region: str | None, index: TaxIndex) -> TaxRule | None:
    """The rule that holds for a SKU: of the narrowest region that has one for it."""
    for key in narrowest_first(region):
        for rule in index.get(key, ()):
            if rule.covers(sku):
                return rule
    return None


def tax_lines(
    skus: Sequence[Sku],
    tie_order: Sequence[int],
    costs: Sequence[int],
    freight: Sequence[int],
    region: str | None,
    index: TaxIndex,
) -> tuple[list[int], list[int]]:
    """What comes on top of each line, and what each line contains already.

    `costs` is what each line costs after its discounts.
    """
    groups: dict[tuple[str, int, bool], list[tuple[int, int]]] = {}
    for line in tie_order:
        rule = rule_of(skus[line], region, index)
        if rule is not None and rule.rate_bp:
            taxed = costs[line] + (freight[line] if rule.applies_to_freight else 0)
            key = (skus[line].shop_id, rule.rate_bp, rule.included)
            groups.setdefault(key, []).append((line, taxed))
    on_top, contained = [0] * len(skus), [0] * len(skus)
    for (_, rate_bp, included), taxed_lines in groups.items():
        amounts = [taxed for _, taxed in taxed_lines]
        tax_of = contained_tax if included else percent_half_up
        parts = split_pro_rata(tax_of(sum(amounts), rate_bp), amounts)
        for (line, _), part in zip(taxed_lines, parts, strict=True):
            (contained if included else on_top)[line] = part
    return on_top, contained


def contained_tax(amount_minor: int, rate_bp: int) -> int:
    """What of an amount is tax where the rate is within it: 19 % of 119 are 19."""
    whole = WHOLE_BP + rate_bp
    return (2 * amount_minor * rate_bp + whole) // (2 * whole)
