"""The price book: all that pricing reads, as of one moment, immutable.

A change makes a new book that shares everything but the tables it touches (a copy of a dict of a hundred
thousand SKUs takes about a millisecond), so that whoever prices keeps one consistent view. Promotions are
found by SKU, item, category and shop: the cost grows with what matches a cart, not with what exists.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app.catalog.snapshot import Shop, Sku
from app.coupons.snapshot import Offer
from app.flash_sales.snapshot import FlashSale
from app.points.documents import PointsRules
from app.pricing.exchange import Rate
from app.pricing.freight import FreightTemplate
from app.pricing.group_sales import GroupSales
from app.pricing.lanes import LANES
from app.pricing.limits import RuleUse, UseKey
from app.pricing.regions import ANYWHERE
from app.pricing.rules import Rule
from app.pricing.schemas import Activity
from app.pricing.tax import TaxRule, index_by_region

# The rules of a SKU, once gathered, are kept for the book's life. 20,000 SKUs cover the busy part of a
# catalog in about 2 MB; when it is full it starts anew.
RULES_CACHE_MAX = 20_000

_EVERYTHING = ("all", "")
_by_order = attrgetter("order")


class InForce(Struct, frozen=True, gc=False, eq=False):
    """What a SKU is in, from `since_ms` until `until_ms`."""

    since_ms: int
    until_ms: int
    # in the order of application
    rules: list[Rule]
    # the rules as a summary names them, then sales; the same list in every summary
    activities: list[Activity]


class PriceBook(Struct, frozen=True, eq=False):
    """Read freely, never change. `PriceBook()` is the empty one; `with_…` gives the next."""

    shops: dict[str, Shop] = {}
    skus: dict[str, Sku] = {}
    flash_sales: dict[str, FlashSale] = {}
    promotions: dict[str, Rule] = {}
    templates: dict[str, Rule] = {}
    # whether any SKU had a member price since the process began
    has_member_prices: bool = False
    # templates whose coupons buyers may claim
    offers: dict[str, Offer] = {}
    points: PointsRules = PointsRules()
    # the order that the rules' own places are of
    lanes: tuple[str, ...] = LANES
    freight_templates: dict[str, FreightTemplate] = {}
    tax_rules: dict[str, TaxRule] = {}
    taxes_by_region: dict[str, tuple[TaxRule, ...]] = {}
    # those that keep goods from being sold to nowhere
    taxes_of_addresses: tuple[TaxRule, ...] = ()
    # (base, currency) -> their dated rates, the newest first
    fx_rates: dict[tuple[str, str], tuple[Rate, ...]] = {}
    # those of both that have a budget or a number of uses, and what was taken of them a moment ago
    limited: frozenset[Rule] = frozenset()
    limited_by_buyer: frozenset[Rule] = frozenset()
    uses: Mapping[UseKey, int] = {}
    # those of both that are not for everybody, and of these those for which the buyer must be known
    for_some: frozenset[Rule] = frozenset()
    asks_who: frozenset[Rule] = frozenset()
    has_regional_rules: bool = False
    has_choice_groups: bool = False
    # where the promotions are found: ("category", "tea") -> its rules
    index: dict[tuple[str, str], tuple[Rule, ...]] = {}
    # how far it has come
    promotions_version: int = 0
    catalog_version: int = 0
    charges_version: int = 0
    # the sales that had not ended, by the SKUs that they sell
    sales_by_sku: dict[str, tuple[FlashSale, ...]] = {}
    group_sales: GroupSales = {}
    # each book gathers anew
    rules_by_sku: dict[str, tuple[Rule, ...]] = {}
    # of a SKU in a currency (in_force.py)
    in_force_by_sku: dict[tuple[str, str], InForce] = {}

    @property
    def needs_region(self) -> bool:
        """Whether it matters where a cart goes."""
        taxes = self.taxes_by_region
        return self.has_regional_rules or bool(self.freight_templates) or len(taxes) > (ANYWHERE in taxes)

    def rules_of(self, sku: Sku) -> tuple[Rule, ...]:
        """The promotions that have this SKU in scope, in the order of application, whatever their window."""
        rules = self.rules_by_sku.get(sku.sku_id)
        if rules is None:
            rules = self._gather(sku)
            if len(self.rules_by_sku) >= RULES_CACHE_MAX:
                self.rules_by_sku.clear()
            self.rules_by_sku[sku.sku_id] = rules
        return rules

    def _gather(self, sku: Sku) -> tuple[Rule, ...]:
        keys = [_EVERYTHING, ("sku", sku.sku_id), ("item", sku.item_id), ("shop", sku.shop_id)]
        keys += [("category", category_id) for category_id in sku.category_ids]
        found = {rule for key in keys for rule in self.index.get(key, ())}
        return tuple(sorted((rule for rule in found if rule.covers(sku)), key=_by_order))

    def with_catalog(
        self, shops: Iterable[Shop] = (), skus: Iterable[Sku] = (), withdrawn_sku_ids: Iterable[str] = ()
    ) -> PriceBook:
        changed = {sku.sku_id: sku for sku in skus}
        all_skus = {**self.skus, **changed}
        for sku_id in withdrawn_sku_ids:
            all_skus.pop(sku_id, None)
        all_shops = {**self.shops, **{shop.shop_id: shop for shop in shops}}
        priced = self.has_member_prices or any(sku.member_prices is not None for sku in changed.values())
        return replace(self, shops=all_shops, skus=all_skus, has_member_prices=priced, **unread())

    def with_flash_sales(self, changed: Iterable[FlashSale]) -> PriceBook:
        sales = {**self.flash_sales, **{sale.activity_id: sale for sale in changed}}
        by_sku: dict[str, tuple[FlashSale, ...]] = {}
        for sale in sales.values():
            for sku_id in sale.items if not sale.ended else ():
                by_sku[sku_id] = (*by_sku.get(sku_id, ()), sale)
        return replace(self, flash_sales=sales, sales_by_sku=by_sku, in_force_by_sku={})

    def with_group_sales(self, group_sales: GroupSales) -> PriceBook:
        """These are all of them from now on."""
        return replace(self, group_sales=group_sales, in_force_by_sku={})

    def with_templates(self, changed: Iterable[Rule], offered: Iterable[Offer] = ()) -> PriceBook:
        """`offered`: those of the changed ones that can be claimed."""
        rules = {rule.rule_id: rule for rule in changed}
        offers = {each: offer for each, offer in self.offers.items() if each not in rules}
        offers |= {offer.template_id: offer for offer in offered}
        templates = {**self.templates, **rules}
        return replace(self, templates=templates, offers=offers, **_special(self.promotions, templates))

    def with_points(self, rules: PointsRules) -> PriceBook:
        return replace(self, points=rules)

    def with_freight(self, changed: Iterable[FreightTemplate]) -> PriceBook:
        added = {template.template_id: template for template in changed}
        return replace(self, freight_templates=self.freight_templates | added)

    def with_taxes(self, changed: Iterable[TaxRule]) -> PriceBook:
        tax_rules = self.tax_rules | {rule.tax_rule_id: rule for rule in changed}
        asking = tuple(rule for rule in tax_rules.values() if rule.address_required)
        index = index_by_region(tax_rules.values())
        return replace(self, tax_rules=tax_rules, taxes_by_region=index, taxes_of_addresses=asking)

    def with_fx_rates(self, base: str, rates: Iterable[Rate]) -> PriceBook:
        """These are all the rates of that base from now on."""
        pairs = {pair: kept for pair, kept in self.fx_rates.items() if pair[0] != base}
        for rate in sorted(rates, key=lambda rate: rate.valid_from_ms, reverse=True):
            pairs[base, rate.currency] = (*pairs.get((base, rate.currency), ()), rate)
        return replace(self, fx_rates=pairs)

    def with_promotions(self, changed: Iterable[Rule], removed_ids: Iterable[str] = ()) -> PriceBook:
        added = {rule.rule_id: rule for rule in changed}
        gone = {self.promotions[each] for each in (*removed_ids, *added) if each in self.promotions}
        promotions = {each: rule for each, rule in self.promotions.items() if rule not in gone}
        index = dict(self.index)
        for key, rules in _group_by_key(gone, added.values()).items():
            index[key] = (*(rule for rule in index.get(key, ()) if rule not in gone), *rules)
        promotions |= added
        special = _special(promotions, self.templates)
        return replace(self, promotions=promotions, index=index, **unread(), **special)

    def with_versions(self, versions: Mapping[str, int]) -> PriceBook:
        return replace(
            self,
            promotions_version=versions["promotions"],
            catalog_version=versions["catalog"],
            charges_version=versions["charges"],
        )

    def rule_of(self, use: RuleUse) -> Rule | None:
        """The rule as it is now; None where it is gone."""
        return (self.promotions if use.kind == "promotion" else self.templates).get(use.rule_id)

    def with_uses(self, uses: Mapping[UseKey, int]) -> PriceBook:
        """What has been taken of limited rules, as just read."""
        return replace(self, uses={**self.uses, **uses})


def unread() -> dict[str, Any]:
    """The fields of the book that are gathered as carts ask for them."""
    return {"rules_by_sku": {}, "in_force_by_sku": {}}


def _special(*tables: Mapping[str, Rule]) -> dict[str, Any]:
    """The fields of the book that tell which rules have limits, are for some, or are chosen among."""
    limited = [rule for rules in tables for rule in rules.values() if rule.use_limits is not None]
    by_buyer = [rule for rule in limited if rule.use_limits and rule.use_limits.uses_per_buyer_max]
    for_some = [rule for rules in tables for rule in rules.values() if rule.audience is not None]
    asks_who = [rule for rule in for_some if rule.audience and rule.audience.asks_who]
    return {
        "limited": frozenset(limited),
        "limited_by_buyer": frozenset(by_buyer),
        "for_some": frozenset(for_some),
        "asks_who": frozenset(asks_who),
        "has_regional_rules": any(rule.audience and rule.audience.regions for rule in for_some),
        "has_choice_groups": any(rule.choice_group for rules in tables for rule in rules.values()),
    }


def _group_by_key(gone: Iterable[Rule], added: Iterable[Rule]) -> dict[tuple[str, str], list[Rule]]:
    """The rules that come under each key that changes: none, where one only goes."""
    rules_by_key: dict[tuple[str, str], list[Rule]] = {key: [] for rule in gone for key in _keys(rule)}
    for rule in added:
        for key in _keys(rule):
            rules_by_key.setdefault(key, []).append(rule)
    return rules_by_key


def _keys(rule: Rule) -> Iterable[tuple[str, str]]:
    """Where a rule is found: under each id of its scope, else under its shop, else everywhere."""
    reach = rule.reach
    if reach.everything:
        return (_EVERYTHING,) if reach.shop_id is None else (("shop", reach.shop_id),)
    return (
        *(("sku", each) for each in reach.sku_ids),
        *(("item", each) for each in reach.item_ids),
        *(("category", each) for each in reach.category_ids),
        *(("shop", each) for each in reach.shop_ids),
    )
