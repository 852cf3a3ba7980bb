"""What comes on top of the goods once every rule has been applied: freight, then tax.

Enters the walk, leaves freight and tax per line, which `add_charges` brings into the summary. Both look at
what a line costs after promotions and coupons: points, red packets and gift cards only pay for it, they do
not make it cheaper. Where there are no templates and no tax rules, nothing is computed at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from app.catalog.snapshot import Sku
from app.lib.money import split_pro_rata
from app.pricing.book import PriceBook
from app.pricing.errors import CurrencyNotSold
from app.pricing.freight import FreightTemplate, split_fee
from app.pricing.limits import with_use
from app.pricing.lines import BILL, Basket
from app.pricing.priced import Priced
from app.pricing.regions import ANYWHERE
from app.pricing.schemas import Discount
from app.pricing.tax import tax_lines
from app.pricing.walk import Freed, Miss, Walk

# Kinds of rules that pay for goods instead of making them cheaper.
MEANS_OF_PAYMENT = frozenset({"points", "red_packet", "gift_card"})


class Charges(Struct, gc=False, eq=False):
    """Per line of the basket; `unserved` are the SKUs that are not sent to the cart's region.

    `address_taxed` are those that are not sent at all, and not sold before their buyer's region is known.
    """

    freight: list[int]
    tax: list[int]
    tax_included: list[int]
    unserved: list[str]
    warnings: list[str]
    # what each rule that frees freight has freed of its lines
    freed: list[tuple[Freed, list[int]]]
    address_taxed: list[str] = []


class Parcel(Struct, gc=False, eq=False):
    """Lines that are sent together, by SKU id: the order that decides ties."""

    template: FreightTemplate
    indexes: list[int]


def charge(basket: Basket, walk: Walk, book: PriceBook, region: str | None) -> Charges | None:
    """None: nothing is charged beside the goods. `region` None: it is not known yet.

    A rule that frees freight where there is none is noted in the walk as a miss. Raises CurrencyNotSold,
    where a template's fee cannot be told in the cart's currency.
    """
    if not book.freight_templates and not book.tax_rules:
        walk.misses += [Miss(freed.entry, "gave_nothing") for freed in walk.freed]
        return None
    lines = basket.lines
    charges = Charges([0] * len(lines), [0] * len(lines), [0] * len(lines), [], [], [])
    costs = costs_of(basket, walk)
    parcels = pack(basket, book)
    if parcels and region is not None:
        _add_freight(charges, parcels, basket, book, costs, region)
    elif parcels:
        charges.warnings.append("freight_needs_address")
    _free(charges, walk, is_known=region is not None or not parcels)
    if book.tax_rules:
        skus = [line.sku for line in lines]
        charges.tax, charges.tax_included = tax_lines(
            skus, basket.tie_order, costs, charges.freight, region, book.taxes_by_region
        )
        if region is None:
            _miss_address(charges, skus, book)
    return charges


def _miss_address(charges: Charges, skus: Sequence[Sku], book: PriceBook) -> None:
    """Note what is still to be taxed. A bill is paid where the shop is."""
    is_sent = any([sku.item_type == "physical" for sku in skus])
    charges.address_taxed = [
        sku.sku_id
        for sku in skus
        if sku.item_type not in ("physical", BILL)
        and any([rule.covers(sku) for rule in book.taxes_of_addresses])
    ]
    if charges.address_taxed or (is_sent and any([each != ANYWHERE for each in book.taxes_by_region])):
        charges.warnings.append("tax_needs_address")


def pack(basket: Basket, book: PriceBook) -> list[Parcel]:
    """The physical lines under a template: their item's own, else their shop's."""
    parcels: dict[tuple[str, str], Parcel] = {}
    if not book.freight_templates:
        return []
    for index in basket.tie_order:
        sku = basket.lines[index].sku
        template_id = sku.freight_template_id or book.shops[sku.shop_id].freight_template_id
        if template_id is None or sku.item_type != "physical":
            continue
        parcel = parcels.get((sku.shop_id, template_id))
        if parcel is None:
            parcel = parcels[sku.shop_id, template_id] = Parcel(book.freight_templates[template_id], [])
        parcel.indexes.append(index)
    return list(parcels.values())


def _add_freight(
    charges: Charges,
    parcels: Sequence[Parcel],
    basket: Basket,
    book: PriceBook,
    costs: Sequence[int],
    region: str,
) -> None:
    for parcel in parcels:
        sent = [basket.lines[index] for index in parcel.indexes]
        fee = parcel.template.fee_for(region)
        if fee is None:
            charges.unserved += [line.sku.sku_id for line in sent]
            continue
        parts = split_fee(
            fee,
            [line.quantity for line in sent],
            [line.sku.weight_grams * line.quantity for line in sent],
            sum([costs[index] for index in parcel.indexes]),
            converter_of(parcel, basket, book),
        )
        for index, part in zip(parcel.indexes, parts, strict=True):
            charges.freight[index] = part
    if charges.unserved:
        charges.warnings.append("address_not_served")


def converter_of(parcel: Parcel, basket: Basket, book: PriceBook) -> Callable[[int], int]:
    """From the template's currency into the cart's."""
    template = parcel.template
    if template.currency == basket.currency:
        return _unchanged
    rate = basket.take_rate(book, template.shop_id, template.currency)
    if rate is None:
        sku_ids = [basket.lines[index].sku.sku_id for index in parcel.indexes]
        raise CurrencyNotSold(
            f"their freight is in {template.currency}", sku_ids=sku_ids, currency=basket.currency
        )
    return rate.convert


def _unchanged(amount_minor: int) -> int:
    return amount_minor


def _free(charges: Charges, walk: Walk, *, is_known: bool) -> None:
    """Take off what rules free, each up to its limit. While freight is unknown they keep their place."""
    for freed in walk.freed:
        amounts = [charges.freight[index] for index in freed.indexes]
        limit_minor = freed.entry.rule.max_discount_minor
        if limit_minor is not None and sum(amounts) > limit_minor:
            amounts = split_pro_rata(limit_minor, amounts)
        if is_known and (code := _why_not(freed, sum(amounts), charges)) is not None:
            walk.misses.append(Miss(freed.entry, code))
            continue
        charges.freed.append((freed, amounts))
        for index, amount in zip(freed.indexes, amounts, strict=True):
            charges.freight[index] -= amount


def _why_not(freed: Freed, amount_minor: int, charges: Charges) -> str | None:
    """Why it cannot free this much; None when it can."""
    if amount_minor == 0:
        return "gave_nothing"
    if freed.entry.allowance is None:
        return None
    before = [sum(amounts) for other, amounts in charges.freed if other.entry.rule is freed.entry.rule]
    return freed.entry.allowance.refuses(amount_minor, before)


def add_charges(priced: Priced, charges: Charges) -> None:
    """Bring freight and tax into the summary, at every level; name what was sent for nothing, and why."""
    summary = priced.summary
    for freed, amounts in charges.freed:
        _name_freed(priced, freed, amounts)
    # Gifts stand after the cart's lines, and nothing is charged for them.
    for line, freight_minor, tax_minor, included_minor in zip(
        priced.lines, charges.freight, charges.tax, charges.tax_included, strict=False
    ):
        line.summary.tax_included_minor = included_minor
        line.summary.freight_minor = freight_minor
        line.summary.tax_minor = tax_minor
        line.summary.payable_minor += freight_minor + tax_minor
    for shop in summary.shops:
        shop.freight_minor = sum([line.freight_minor for line in shop.lines])
        shop.tax_minor = sum([line.tax_minor for line in shop.lines])
        shop.payable_minor += shop.freight_minor + shop.tax_minor
    summary.freight_minor = sum(charges.freight)
    summary.tax_minor = sum(charges.tax)
    summary.payable_minor += summary.freight_minor + summary.tax_minor
    summary.warnings += charges.warnings
    priced.unserved = charges.unserved
    priced.address_taxed = charges.address_taxed


def _name_freed(priced: Priced, freed: Freed, amounts: Sequence[int]) -> None:
    """It lowers the freight, not the goods: its amount as a discount is 0. A coupon is spent all the same."""
    rule, rule_id = freed.entry.rule, freed.entry.rule_id
    applied = priced.summary.applied
    applied.append(Discount(rule.kind, rule_id, rule.name, 0, sum(amounts)))
    if rule.kind == "coupon":
        priced.coupons[rule_id] = 0
    if rule.use_limits is not None:
        priced.uses = with_use(priced.uses, rule.kind, rule.rule_id, rule.use_limits, sum(amounts))
    for index, amount in zip(freed.indexes, amounts, strict=True):
        if amount:
            discount = Discount(rule.kind, rule_id, rule.name, 0, amount)
            line = priced.lines[index]
            line.summary.discounts.append(discount)
            line.given.append((len(applied) - 1, 0, amount))


def costs_of(basket: Basket, walk: Walk) -> list[int]:
    """What each line costs after promotions and coupons, whoever pays for it."""
    costs = walk.left.copy()
    for index, undiscounted_minor in basket.bills.items():
        costs[index] += undiscounted_minor
    for step in walk.steps:
        if step.entry.rule.kind in MEANS_OF_PAYMENT:
            for index, amount in zip(step.indexes, step.amounts, strict=True):
                costs[index] += amount
    return costs
