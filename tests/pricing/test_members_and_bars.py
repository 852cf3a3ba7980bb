"""Member prices, and promotions that bar coupons from the lines that they lower."""

from __future__ import annotations

from typing import Any

import pytest

from app.pricing.buyer import ANONYMOUS, Buyer
from app.pricing.engine import choose_coupons
from app.pricing.lanes import LANES
from tests.pricing.build import (
    NOW_MS,
    book,
    cart,
    codes,
    coupon,
    discounts,
    held,
    price,
    priced,
    promotion,
    sku,
    template,
)

TEN_PERCENT: dict[str, Any] = {"kind": "percent_off", "percent_bp": 1000}
COUPONS_FIRST = ("shop_coupon", "platform_coupon", *(each for each in LANES if not each.endswith("coupon")))


def off(amount_minor: int) -> dict[str, Any]:
    return {"kind": "amount_off", "amount_minor": amount_minor, "per": "line"}


@pytest.mark.parametrize(
    ("tags", "unit"),
    [((), 10_000), (("new",), 10_000), (("gold",), 9000), (("gold", "staff"), 7000), (("staff",), 7000)],
)
def test_the_lowest_member_price_that_a_buyer_is_entitled_to_is_the_units_price(
    tags: tuple[str, ...], unit: int
) -> None:
    shop = book(
        sku("a", 10_000, list_price_minor=12_000, member_prices={"gold": 9000, "staff": 7000}),
        promotion("p", TEN_PERCENT),
    )
    line = price(cart({"a": 2}), shop, Buyer(tags=frozenset(tags)), NOW_MS).lines[0].summary
    assert (line.unit_price_minor, line.list_price_minor, line.goods_minor) == (unit, 12_000, 2 * unit)
    assert line.discount_minor == 2 * unit // 10
    assert choose_coupons(cart({"a": 2}), shop, ANONYMOUS, NOW_MS).best_saves_minor == 0


def test_a_member_price_is_of_its_own_currency_and_sku() -> None:
    shop = book(sku("a", 100, currency="JPY", member_prices={"gold": 90}), sku("b", 50, currency="JPY"))
    gold = Buyer(tags=frozenset({"gold"}))
    assert price(cart({"a": 1, "b": 1}, currency="JPY"), shop, gold, NOW_MS).summary.payable_minor == 140


def test_coupons_keep_off_the_lines_that_a_barring_promotion_has_lowered() -> None:
    shop = book(
        sku("a", 1000),
        sku("b", 1000),
        promotion("bars", TEN_PERCENT, bars_coupons=True, scope={"sku_ids": ["a"]}),
        template("t", off(50)),
    )
    result = priced(shop, {"a": 1, "b": 1}, coupon("1", "t"))
    assert discounts(result) == {"a": 100, "b": 50}
    alone = priced(shop, {"a": 1}, coupon("1", "t"))
    assert (discounts(alone), alone.coupons, codes(alone)) == ({"a": 100}, {}, [("1", "barred_by_promotion")])
    # one that gave nothing bars nothing
    idle = shop.with_promotions(
        [promotion("bars", TEN_PERCENT, bars_coupons=True, condition={"min_amount_minor": 9999})]
    )
    assert discounts(priced(idle, {"a": 1}, coupon("1", "t"))) == {"a": 50}


def test_the_best_coupons_and_what_each_saves_respect_what_is_barred() -> None:
    shop = book(
        sku("a", 1000),
        sku("b", 1000),
        promotion("bars", TEN_PERCENT, bars_coupons=True, scope={"sku_ids": ["a"]}),
        template("on-a", off(500), scope={"sku_ids": ["a"]}, stack_category="x"),
        template("on-both", off(50), stack_category="x"),
    )
    coupons = [coupon("1", "on-a"), coupon("2", "on-both")]
    result = priced(shop, {"a": 1, "b": 1}, *coupons, auto_coupons=True, coupon_ids=[])
    assert (discounts(result), result.coupons) == ({"a": 100, "b": 50}, {"2": 50})
    choice = choose_coupons(cart({"a": 1, "b": 1}), shop, held(*coupons), NOW_MS)
    assert [(each.coupon_id, each.saves_minor) for each in choice.usable] == [("2", 50)]
    assert [(each.coupon_id, each.code) for each in choice.unusable] == [("1", "barred_by_promotion")]


def test_where_coupons_come_first_a_barring_promotion_keeps_off_their_lines() -> None:
    lanes = COUPONS_FIRST
    shop = book(
        sku("a", 1000),
        sku("b", 1000),
        promotion("bars", TEN_PERCENT, bars_coupons=True, lanes=lanes),
        template("t", off(50), scope={"sku_ids": ["a"]}, lanes=lanes),
        template("u", off(200), scope={"sku_ids": ["b"]}, lanes=lanes),
    )
    assert discounts(priced(shop, {"a": 1, "b": 1}, coupon("1", "t"))) == {"a": 50, "b": 100}
    # the better of coupon and promotion on each line
    best = priced(
        shop, {"a": 1, "b": 1}, coupon("1", "t"), coupon("2", "u"), auto_coupons=True, coupon_ids=[]
    )
    assert (discounts(best), best.coupons) == ({"a": 100, "b": 200}, {"2": 200})
