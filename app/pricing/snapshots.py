"""The price book that this process prices with, kept up to date.

Enters the ledger's rows, leaves `book`. Every process asks for the snapshots' versions every POLL_S and reads
only what has changed since, and what has been taken of limited rules, which are few; a call that changes
something here refreshes before it answers. Whoever prices takes `book` once and keeps that view. When
Postgres does not answer, the book stays as it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from app.catalog.snapshot import Shop, Sku
from app.charges.documents import FreightTemplateDocument, FxRatesDocument, TaxRuleDocument
from app.coupons.snapshot import Offer
from app.flash_sales.snapshot import FlashItem, FlashSale
from app.lib.clock import Clock
from app.lib.kept_fresh import KeptFresh
from app.lib.postgres import Connection, Pool, transaction
from app.lib.sql import load
from app.points.documents import PointsRules
from app.pricing.book import PriceBook
from app.pricing.documents import CouponTemplateDocument, PromotionDocument
from app.pricing.exchange import fx_rates
from app.pricing.freight import freight_template
from app.pricing.group_sales import GroupSales
from app.pricing.lanes import LANES
from app.pricing.limits import UseKey
from app.pricing.rules import Rule, coupon_rule, milliseconds, promotion_rule
from app.pricing.tax import tax_rule

sql = load("pricing")
uses_of_rules = load("rule_uses").uses_of_rules

# A change must be in force everywhere within a second: three polls fit, should one be slow or lost.
POLL_S = 0.3
# Rows read at a time: some megabytes, and about 20 ms before the loop may do something else.
ROWS_AT_A_TIME = 2_000


class PriceSnapshots:
    """`start` loads everything and begins to poll; `stop` ends it."""

    def __init__(self, pool: Pool, clock: Clock, lanes: tuple[str, ...] = LANES) -> None:
        self._pool = pool
        self._clock = clock
        self._lanes = lanes
        self._versions = {"catalog": 0, "promotions": 0, "flash_sales": 0, "charges": 0}
        self._refreshing = asyncio.Lock()
        self._fresh = KeptFresh(self.refresh, name="price-snapshots", period_s=POLL_S)
        self.book = PriceBook(lanes=lanes)

    async def start(self) -> None:
        await self.refresh()
        self._fresh.start()

    async def stop(self) -> None:
        await self._fresh.stop()

    async def refresh(self) -> None:
        """Take over all that was committed before this call."""
        async with self._refreshing:
            # The versions first: what is committed while the rows are read is read again next time.
            rows = await self._pool.fetch(sql.snapshot_versions, list(self._versions))
            newer = {
                row["name"]: row["version"] for row in rows if row["version"] > self._versions[row["name"]]
            }
            if newer:
                book = await self._read(self.book, newer)
                self._versions |= newer
                # Campaigns may have been learned while the rows were read.
                self.book = book.with_versions(self._versions).with_group_sales(self.book.group_sales)
            if self.book.limited:
                self.learn_uses(await self._read_uses(self.book))

    def learn_uses(self, taken: Mapping[UseKey, int]) -> None:
        """What the ledger says has been taken of limited rules; it holds until it is read again."""
        self.book = self.book.with_uses(taken)

    def learn_group_sales(self, group_sales: GroupSales) -> None:
        """What is on sale by group buying, whenever that has changed."""
        self.book = self.book.with_group_sales(group_sales)

    async def _read_uses(self, book: PriceBook) -> dict[UseKey, int]:
        rules = [(rule.kind, rule.rule_id) for rule in book.limited]
        kinds, rule_ids = zip(*rules, strict=True)
        return {
            tuple(row)[:4]: row["taken"] for row in await self._pool.fetch(uses_of_rules, kinds, rule_ids)
        }

    async def _read(self, book: PriceBook, newer: dict[str, int]) -> PriceBook:
        async with transaction(self._pool) as connection:
            if "catalog" in newer:
                book = await _read_catalog(connection, book, self._versions["catalog"])
            if "promotions" in newer:
                now_ms = milliseconds(self._clock.now())
                since = self._versions["promotions"]
                book = await _read_rules(connection, book, since, now_ms, self._lanes)
                if (document := await connection.fetchval(sql.points_rules_since, since)) is not None:
                    book = book.with_points(msgspec.convert(document, PointsRules))
            if "flash_sales" in newer:
                rows = await connection.fetch(sql.flash_sales_since, self._versions["flash_sales"])
                book = book.with_flash_sales([_flash_sale(row) for row in rows])
            if "charges" in newer:
                book = await _read_charges(connection, book, self._versions["charges"])
        return book


async def _read_catalog(connection: Connection, book: PriceBook, since: int) -> PriceBook:
    shops = [Shop(**row) for row in await connection.fetch(sql.shops_since, since)]
    skus: list[Sku] = []
    withdrawn: list[str] = []
    shared: dict[Any, Any] = {}
    cursor = await connection.cursor(sql.skus_since, since)
    while rows := await cursor.fetch(ROWS_AT_A_TIME):
        for row in rows:
            if row["withdrawn"]:
                withdrawn.append(row["sku_id"])
            else:
                skus.append(_sku(row, shared))
        await asyncio.sleep(0)
    return book.with_catalog(shops, skus, withdrawn)


async def _read_rules(
    connection: Connection, book: PriceBook, since: int, now_ms: int, lanes: tuple[str, ...]
) -> PriceBook:
    changed: list[Rule] = []
    removed: list[str] = []
    for row in await connection.fetch(sql.promotions_since, since):
        document = msgspec.convert(row["document"], PromotionDocument)
        rule = promotion_rule(row["promotion_id"], document, lanes)
        if document.enabled and rule.ends_at_ms > now_ms:
            changed.append(rule)
        else:
            removed.append(rule.rule_id)
    templates: list[Rule] = []
    offers: list[Offer] = []
    for row in await connection.fetch(sql.templates_since, since):
        template = msgspec.convert(row["document"], CouponTemplateDocument)
        templates.append(coupon_rule(row["template_id"], template, lanes))
        if template.claimable:
            offers.append(Offer(row["template_id"], template, templates[-1]))
    return book.with_promotions(changed, removed).with_templates(templates, offers)


async def _read_charges(connection: Connection, book: PriceBook, since: int) -> PriceBook:
    templates = [
        freight_template(row["template_id"], msgspec.convert(row["document"], FreightTemplateDocument))
        for row in await connection.fetch(sql.freight_templates_since, since)
    ]
    taxes = [
        tax_rule(row["tax_rule_id"], msgspec.convert(row["document"], TaxRuleDocument))
        for row in await connection.fetch(sql.tax_rules_since, since)
    ]
    book = book.with_freight(templates).with_taxes(taxes)
    for row in await connection.fetch(sql.fx_rates_since, since):
        book = book.with_fx_rates(*fx_rates(msgspec.convert(row["document"], FxRatesDocument)))
    return book


def _sku(row: Any, shared: dict[Any, Any]) -> Sku:
    """`shared` keeps one copy of what many SKUs have in common: half of a large catalog's memory."""

    def once(value: Any) -> Any:
        return shared.setdefault(value, value)

    return Sku(
        sku_id=row["sku_id"],
        item_id=once(row["item_id"]),
        shop_id=once(row["shop_id"]),
        title=once(row["title"]),
        item_type=once(row["item_type"]),
        category_ids=once(tuple(row["category_ids"])),
        prices={
            once(currency): once((price["price_minor"], price["list_price_minor"]))
            for currency, price in row["prices"].items()
        },
        member_prices=_member_prices(row["prices"]),
        costs=_costs(row["prices"]),
        weight_grams=row["weight_grams"],
        pool_id=row["pool_id"],
        reserve_on=once(row["reserve_on"]),
        attributes={once(name): once(value) for name, value in row["attributes"].items()},
        freight_template_id=once(row["freight_template_id"]),
    )


def _member_prices(prices: dict[str, Any]) -> dict[str, tuple[tuple[str, int], ...]] | None:
    found = {
        currency: tuple(price["member_prices"].items())
        for currency, price in prices.items()
        if "member_prices" in price
    }
    return found or None


def _costs(prices: dict[str, dict[str, int]]) -> dict[str, int] | None:
    """None for most SKUs: their shops have not said what they cost."""
    costs = {currency: price["cost_minor"] for currency, price in prices.items() if "cost_minor" in price}
    return costs or None


def _flash_sale(row: Any) -> FlashSale:
    return FlashSale(
        activity_id=row["activity_id"],
        name=row["name"],
        starts_at_ms=milliseconds(row["starts_at"]),
        ends_at_ms=milliseconds(row["ends_at"]),
        ended=row["ended"],
        items=msgspec.convert(row["items"], dict[str, FlashItem]),
    )
