"""What freight, tax, points and cards of an order were computed with: the rest of its replay.

Enters the replay of its promotions and coupons, leaves one whose book has the charges of that time and whose
buyer holds what the order's balances held a moment before it took from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from app.charges.documents import (
    FreightTemplateDocument,
    FxRateDocument,
    FxRatesDocument,
    TaxRuleDocument,
)
from app.lib.postgres import Pool
from app.orders.replay import Replay, Row, Versions, sql
from app.points.documents import PointsRules
from app.pricing.book import PriceBook
from app.pricing.buyer import EMPTY_PURSE, GiftCard, Purse, RedPacket
from app.pricing.exchange import fx_rates
from app.pricing.freight import freight_template
from app.pricing.priced import PricedWith
from app.pricing.rules import NEVER_MS
from app.pricing.schemas import FxRate
from app.pricing.tax import tax_rule


async def add_charges_of_then(
    pool: Pool, replay: Replay, root: Row, priced_with: PricedWith, lines: Sequence[Row]
) -> Replay:
    """The order is one of those that have kept their charges' version."""
    rows = await pool.fetch(sql.charges_at, priced_with.charges_version)
    book, versions = _with_charges(replay.book, rows)
    if (points := await pool.fetchrow(sql.points_rules_at, priced_with.promotions_version)) is not None:
        book = book.with_points(msgspec.convert(points["document"], PointsRules))
        versions["points", "points"] = points["version"]
    parcels = await pool.fetch(sql.parcels_at, priced_with.catalog_version, list(book.skus))
    book = _with_parcels(book, parcels)
    book = _with_rates(book, msgspec.convert(root["fx_rates"] or [], list[FxRate]))
    replay = replace(replay, book=book, versions=replay.versions | versions)
    balances = await pool.fetch(sql.balances_before, root["root_id"])
    return _with_purse(replay, priced_with, balances, lines) if balances else replay


def _with_charges(book: PriceBook, rows: Sequence[Row]) -> tuple[PriceBook, Versions]:
    templates, taxes = [], []
    for row in rows:
        if row["kind"] == "freight":
            document = msgspec.convert(row["document"], FreightTemplateDocument)
            templates.append(freight_template(row["rule_id"], document))
        else:
            taxes.append(tax_rule(row["rule_id"], msgspec.convert(row["document"], TaxRuleDocument)))
    versions = {(row["kind"], row["rule_id"]): row["version"] for row in rows}
    return book.with_freight(templates).with_taxes(taxes), versions


def _with_parcels(book: PriceBook, rows: Sequence[Row]) -> PriceBook:
    """As long as the order keeps its lines' prices, weight and template are what it lacks."""
    skus = [
        replace(
            book.skus[row["sku_id"]],
            weight_grams=row["weight_grams"],
            freight_template_id=row["template_id"],
        )
        for row in rows
    ]
    shops = {
        row["shop_id"]: replace(book.shops[row["shop_id"]], freight_template_id=row["shop_template_id"])
        for row in rows
    }
    return book.with_catalog(shops.values(), skus)


def _with_rates(book: PriceBook, rates: Iterable[FxRate]) -> PriceBook:
    """The rates are frozen in the order."""
    by_base: dict[str, list[FxRateDocument]] = {}
    for rate in rates:
        document = FxRateDocument(currency=rate.currency, rate=rate.rate, valid_from=rate.valid_from)
        by_base.setdefault(rate.base, []).append(document)
    for base, documents in by_base.items():
        book = book.with_fx_rates(*fx_rates(FxRatesDocument(base=base, rates=documents)))
    return book


def _with_purse(
    replay: Replay, priced_with: PricedWith, balances: Sequence[Row], lines: Sequence[Row]
) -> Replay:
    purse, cards = EMPTY_PURSE, {}
    asked: dict[str, Any] = {}
    for row in balances:
        if row["kind"] == "points":
            purse = replace(purse, points=row["amount"])
            asked["points"] = priced_with.points
        elif row["kind"] == "red_packet":
            purse = replace(purse, red_packet=_packet(row))
            asked["red_packet_id"] = row["packet_id"]
        else:
            currency, amount = row["card_currency"], row["amount"]
            cards[row["code"]] = GiftCard(row["card_id"], currency, amount, NEVER_MS, row["pays_charges"])
    asked["gift_card_codes"] = _in_order(cards, lines)
    buyer = replace(replay.buyer, purse=Purse(purse.points, cards, purse.red_packet))
    return replace(replay, cart=replace(replay.cart, **asked), buyer=buyer)


def _packet(row: Row) -> RedPacket:
    return RedPacket(
        row["packet_id"],
        row["name"],
        row["shop_id"],
        row["packet_currency"],
        row["packet_minor"],
        row["min_amount_minor"],
        "available",
        NEVER_MS,
        row["pays_charges"],
    )


def _in_order(cards: dict[str, GiftCard], lines: Sequence[Row]) -> list[str]:
    """Their codes as the cart named them: a card comes on a line only when those before it are empty."""
    places: dict[str, int] = {}
    for line in lines:
        named = [each["rule_id"] for each in line["discounts"] or () if each["kind"] == "gift_card"]
        for place, card_id in enumerate(named):
            places[card_id] = max(place, places.get(card_id, 0))
    return sorted(cards, key=lambda code: places[cards[code].card_id])
