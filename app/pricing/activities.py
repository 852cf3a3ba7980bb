"""The activities that a SKU is in: what a buyer of it is entitled to, and chooses among.

Enters the book, a SKU, the cart's currency and the time; leaves the promotions that are on and have the SKU
in scope, and the flash sales and group-buy campaigns that are open and have it. Kept with the book until one
of them begins or ends, so that a price costs a look-up a line.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.catalog.snapshot import Sku
from app.pricing.book import RULES_CACHE_MAX, PriceBook
from app.pricing.priced import Priced
from app.pricing.rules import ALWAYS_MS, NEVER_MS
from app.pricing.schemas import Activity

NONE: list[Activity] = []


def name_activities(priced: Priced, book: PriceBook, now_ms: int) -> None:
    """Say of each line that is bought what its SKU is in."""
    currency, known = priced.summary.currency, book.activities_by_sku
    for line in priced.lines:
        if line.gift:
            continue
        kept = known.get((line.sku.sku_id, currency))
        if kept is None or not kept[0] <= now_ms < kept[1]:
            kept = _keep(book, line.sku, currency, now_ms)
        line.summary.activities = kept[2]


def _keep(book: PriceBook, sku: Sku, currency: str, now_ms: int) -> tuple[int, int, list[Activity]]:
    """With the time from which and until which it holds."""
    since, until = ALWAYS_MS, NEVER_MS
    found = []
    for starts_at_ms, ends_at_ms, activity in _of(book, sku, currency):
        for moment_ms in (starts_at_ms, ends_at_ms):
            if moment_ms <= now_ms:
                since = max(since, moment_ms)
            else:
                until = min(until, moment_ms)
        if starts_at_ms <= now_ms < ends_at_ms:
            found.append(activity)
    if len(book.activities_by_sku) >= RULES_CACHE_MAX:
        book.activities_by_sku.clear()
    kept = book.activities_by_sku[sku.sku_id, currency] = since, until, found or NONE
    return kept


def _of(book: PriceBook, sku: Sku, currency: str) -> Iterator[tuple[int, int, Activity]]:
    """Each with its window: promotions in the order of application, then sales."""
    for rule in book.rules_of(sku):
        if not rule.currencies or currency in rule.currencies:
            activity = Activity("promotion", rule.rule_id, rule.name, rule.choice_group)
            yield rule.starts_at_ms, rule.ends_at_ms, activity
    for sale in book.sales_by_sku.get(sku.sku_id, ()):
        if sale.items[sku.sku_id].currency == currency:
            yield sale.starts_at_ms, sale.ends_at_ms, Activity("flash_sale", sale.activity_id, sale.name)
    for group in book.group_sales.get(sku.sku_id, ()):
        if group.currency == currency:
            yield group.starts_at_ms, group.ends_at_ms, Activity("campaign", group.campaign_id, group.name)
