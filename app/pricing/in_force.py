"""What is in force for a SKU: the promotions that may lower it, and what a buyer may choose among.

Enters the book, a SKU, the cart's currency and the time; leaves the promotions that are on and have the SKU
in scope, and with them the flash sales and group-buy campaigns that are open and have it. Kept with the book
until one of them begins or ends, so that a price costs a look-up a line.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.catalog.snapshot import Sku
from app.pricing.book import RULES_CACHE_MAX, InForce, PriceBook
from app.pricing.rules import ALWAYS_MS, NEVER_MS, Rule
from app.pricing.schemas import Activity


def in_force(book: PriceBook, sku: Sku, currency: str, now_ms: int) -> InForce:
    kept = book.in_force_by_sku.get((sku.sku_id, currency))
    if kept is None or not kept.since_ms <= now_ms < kept.until_ms:
        kept = _keep(book, sku, currency, now_ms)
    return kept


def _keep(book: PriceBook, sku: Sku, currency: str, now_ms: int) -> InForce:
    since, until = ALWAYS_MS, NEVER_MS
    rules: list[Rule] = []
    activities: list[Activity] = []
    for starts_at_ms, ends_at_ms, activity, rule in _of(book, sku, currency):
        for moment_ms in (starts_at_ms, ends_at_ms):
            if moment_ms <= now_ms:
                since = max(since, moment_ms)
            else:
                until = min(until, moment_ms)
        if starts_at_ms <= now_ms < ends_at_ms:
            activities.append(activity)
            if rule is not None:
                rules.append(rule)
    if len(book.in_force_by_sku) >= RULES_CACHE_MAX:
        book.in_force_by_sku.clear()
    kept = book.in_force_by_sku[sku.sku_id, currency] = InForce(since, until, rules, activities)
    return kept


def _of(book: PriceBook, sku: Sku, currency: str) -> Iterator[tuple[int, int, Activity, Rule | None]]:
    """Each with its window: promotions in the order of application, then sales."""
    for rule in book.rules_of(sku):
        if not rule.currencies or currency in rule.currencies:
            activity = Activity("promotion", rule.rule_id, rule.name, rule.choice_group)
            yield rule.starts_at_ms, rule.ends_at_ms, activity, rule
    for sale in book.sales_by_sku.get(sku.sku_id, ()):
        if sale.items[sku.sku_id].currency == currency:
            activity = Activity("flash_sale", sale.activity_id, sale.name)
            yield sale.starts_at_ms, sale.ends_at_ms, activity, None
    for group in book.group_sales.get(sku.sku_id, ()):
        if group.currency == currency:
            activity = Activity("campaign", group.campaign_id, group.name)
            yield group.starts_at_ms, group.ends_at_ms, activity, None
