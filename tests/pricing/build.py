"""Small builders for the engine's tests: a book in a few words, and carts for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from app.catalog.snapshot import Shop, Sku
from app.charges.documents import FreightTemplateDocument, FxRatesDocument, TaxRuleDocument
from app.flash_sales.snapshot import FlashItem, FlashSale
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer, BuyerCoupon
from app.pricing.documents import CouponTemplateDocument, PromotionDocument
from app.pricing.engine import price
from app.pricing.exchange import Rate, fx_rates
from app.pricing.freight import FreightTemplate, freight_template
from app.pricing.lanes import LANES
from app.pricing.priced import Priced
from app.pricing.rules import Rule, coupon_rule, promotion_rule
from app.pricing.schemas import CartLine, CartRequest
from app.pricing.tax import TaxRule, tax_rule

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000


def sku(
    sku_id: str,
    price_minor: int,
    *,
    list_price_minor: int | None = None,
    currency: str = "CNY",
    shop_id: str = "7",
    item_id: str | None = None,
    category_ids: tuple[str, ...] = (),
    member_prices: dict[str, int] | None = None,
    **fields: Any,
) -> Sku:
    usual = {"item_type": "physical", "weight_grams": 0, "reserve_on": "place", "attributes": {}}
    return Sku(
        sku_id=sku_id,
        item_id=item_id or f"item-{sku_id}",
        shop_id=shop_id,
        title=f"Title {sku_id}",
        category_ids=category_ids,
        prices={currency: (price_minor, list_price_minor or price_minor)},
        pool_id=sum(sku_id.encode()),
        member_prices=None if member_prices is None else {currency: tuple(member_prices.items())},
        **{**usual, **fields},
    )


def freight(template_id: str, default: dict[str, Any] | None = None, **fields: Any) -> FreightTemplate:
    document = {"shop_id": "7", "currency": "CNY", "name": template_id, "default": default, **fields}
    return freight_template(template_id, msgspec.convert(document, FreightTemplateDocument))


def tax(tax_rule_id: str, rate_bp: int, **fields: Any) -> TaxRule:
    document = {"name": tax_rule_id, "rate_bp": rate_bp, **fields}
    return tax_rule(tax_rule_id, msgspec.convert(document, TaxRuleDocument))


def promotion(
    promotion_id: str, effect: dict[str, Any], *, lanes: tuple[str, ...] = LANES, **fields: Any
) -> Rule:
    document = {"name": f"Name {promotion_id}", "lane": "shop", "effect": effect, **fields}
    return promotion_rule(promotion_id, msgspec.convert(document, PromotionDocument), lanes)


def template(
    template_id: str, effect: dict[str, Any], *, lanes: tuple[str, ...] = LANES, **fields: Any
) -> Rule:
    document = {"name": f"Name {template_id}", "valid_days": 7, "effect": effect, **fields}
    return coupon_rule(template_id, msgspec.convert(document, CouponTemplateDocument), lanes)


def coupon(coupon_id: str, template_id: str, status: str = "available", **times: int) -> BuyerCoupon:
    return BuyerCoupon(
        coupon_id=coupon_id,
        template_id=template_id,
        status=status,
        valid_from_ms=times.get("valid_from_ms", NOW_MS - HOUR_MS),
        valid_to_ms=times.get("valid_to_ms", NOW_MS + HOUR_MS),
    )


def held(*coupons: BuyerCoupon) -> Buyer:
    return Buyer(coupons={each.coupon_id: each for each in coupons})


def rates(base: str, *dated: tuple[str, str, str]) -> tuple[str, list[Rate]]:
    """`rates("CNY", ("USD", "0.14", "2026-01-01"))`: so much, from that day on."""
    given = [
        {"currency": currency, "rate": rate, "valid_from": f"{day}T00:00:00Z"}
        for currency, rate, day in dated
    ]
    return fx_rates(msgspec.convert({"base": base, "rates": given}, FxRatesDocument))


def book(*entries: Sku | Rule | FlashSale | FreightTemplate | TaxRule) -> PriceBook:
    skus = [each for each in entries if isinstance(each, Sku)]
    rules = [each for each in entries if isinstance(each, Rule)]
    # a shop sells in the currency of its first SKU
    currencies = {sku.shop_id: next(iter(sku.prices)) for sku in reversed(skus)}
    return (
        PriceBook()
        .with_catalog([Shop(each, each, currency) for each, currency in currencies.items()], skus)
        .with_promotions([each for each in rules if each.kind == "promotion"])
        .with_templates([each for each in rules if each.kind == "coupon"])
        .with_flash_sales([each for each in entries if isinstance(each, FlashSale)])
        .with_freight([each for each in entries if isinstance(each, FreightTemplate)])
        .with_taxes([each for each in entries if isinstance(each, TaxRule)])
    )


def flash_sale(activity_id: str, items: dict[str, FlashItem], **fields: Any) -> FlashSale:
    window = {"starts_at_ms": NOW_MS - HOUR_MS, "ends_at_ms": NOW_MS + HOUR_MS, "ended": False}
    return FlashSale(activity_id=activity_id, name=activity_id, items=items, **{**window, **fields})


def cart(quantities: Mapping[str, int], currency: str = "CNY", **fields: Any) -> CartRequest:
    lines = [CartLine(sku_id, quantity) for sku_id, quantity in quantities.items()]
    return CartRequest(currency, lines, **fields)


def priced(
    price_book: PriceBook,
    quantities: Mapping[str, int],
    *coupons: BuyerCoupon,
    region: str | None = None,
    **fields: Any,
) -> Priced:
    """The cart priced with all of these coupons chosen, unless the cart's fields say otherwise."""
    fields.setdefault("coupon_ids", [each.coupon_id for each in coupons])
    buyer = replace(held(*coupons), region=region)
    return price(cart(quantities, **fields), price_book, buyer, NOW_MS)


def discounts(result: Priced) -> dict[str, int]:
    """What each line was lowered by, by SKU."""
    return {line.sku.sku_id: line.summary.discount_minor for line in result.lines}


def codes(result: Priced) -> list[tuple[str, str]]:
    return [(each.rule_id, each.code) for each in result.summary.rejected]
