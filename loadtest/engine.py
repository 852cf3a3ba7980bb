"""How long the pricing engine takes by itself: no service, no I/O, one process.

Leaves the median in microseconds of pricing ten lines under thirty live promotions (five a line, thousands of
others in the book), and of finding the best of twenty coupons for the same cart.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import msgspec

from app.catalog.snapshot import Shop, Sku
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer, BuyerCoupon
from app.pricing.documents import CouponTemplateDocument, PromotionDocument
from app.pricing.engine import choose_coupons, price
from app.pricing.rules import NEVER_MS, coupon_rule, promotion_rule
from app.pricing.schemas import CartRequest
from loadtest import goods, rules

NOW_MS = 1_800_000_000_000
RUNS = 400


class EngineFigures(msgspec.Struct, frozen=True):
    """Medians, in microseconds."""

    price_us: float
    choose_us: float


def measure_engine() -> EngineFigures:
    book, buyer = _book(), _buyer()
    cart = msgspec.convert(
        {"currency": goods.CURRENCY, "lines": rules.cart_lines(0, rules.RULED_SKUS)}, CartRequest
    )
    priced = price(cart, book, buyer, NOW_MS)
    assert len(priced.summary.applied) == rules.LIVE, "every live rule gives something"
    return EngineFigures(
        _median_us(lambda: price(cart, book, buyer, NOW_MS)),
        _median_us(lambda: choose_coupons(cart, book, buyer, NOW_MS)),
    )


def _median_us(run: Callable[[], object]) -> float:
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        run()
        times.append((time.perf_counter() - started) * 1e6)
    return median(times)


def _book() -> PriceBook:
    promotions = rules.live_promotions() | rules.other_promotions()
    return (
        PriceBook()
        .with_catalog([Shop(rules.SHOP_ID, "Ruled", goods.CURRENCY)], map(_sku, range(rules.RULED_SKUS)))
        .with_promotions([promotion_rule(name, msgspec.convert(each, PromotionDocument))
                          for name, each in promotions.items()])
        .with_templates([coupon_rule(name, msgspec.convert(each, CouponTemplateDocument))
                         for name, each in rules.coupon_templates().items()])
    )  # fmt: skip


def _sku(number: int) -> Sku:
    return Sku(
        sku_id=rules.ruled_sku(number),
        item_id=f"ruled-item-{number}",
        shop_id=rules.SHOP_ID,
        title="Tea",
        item_type="physical",
        category_ids=("tea",),
        prices={goods.CURRENCY: (3_000 + 111 * number, 4_000)},
        weight_grams=100,
        pool_id=number + 1,
        reserve_on="place",
        attributes={},
    )


def _buyer() -> Buyer:
    coupons = [
        BuyerCoupon(str(number), template_id, "available", 0, NEVER_MS)
        for number, template_id in enumerate(rules.coupon_templates())
    ]
    return Buyer(coupons={each.coupon_id: each for each in coupons})
