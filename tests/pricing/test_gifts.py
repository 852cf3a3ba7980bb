"""Gifts: a line that costs nothing, counts nowhere, and is left out when it is gone."""

from __future__ import annotations

from typing import Any

from app.pricing.buyer import ANONYMOUS
from app.pricing.engine import UsableCoupon, choose_coupons
from app.pricing.schemas import Discount
from tests.pricing.build import (
    NOW_MS,
    book,
    cart,
    codes,
    coupon,
    held,
    price,
    priced,
    promotion,
    sku,
    template,
)

CUP: dict[str, Any] = {"kind": "gift", "sku_id": "cup", "quantity": 2}
MINIMUM = {"min_amount_minor": 1000}


def test_a_gift_adds_a_line_that_costs_nothing_and_counts_in_neither_goods_nor_discount() -> None:
    shop = book(
        sku("tea", 1000), sku("cup", 300, list_price_minor=400), promotion("p", CUP, condition=MINIMUM)
    )
    result = priced(shop, {"tea": 1})
    summary = result.summary
    assert (summary.goods_minor, summary.promotion_discount_minor, summary.payable_minor) == (1000, 0, 1000)
    tea, cup = summary.shops[0].lines
    assert (tea.sku_id, tea.discounts, tea.payable_minor) == ("tea", [], 1000)
    assert (cup.sku_id, cup.quantity, cup.unit_price_minor, cup.list_price_minor) == ("cup", 2, 0, 400)
    assert (cup.goods_minor, cup.discount_minor, cup.payable_minor, cup.available) == (0, 0, 0, True)
    assert cup.discounts == summary.applied == [Discount("promotion", "p", "Name p", 0)]
    assert [line.gift for line in result.lines] == [False, True]


def test_no_gift_below_its_minimum_and_the_cart_says_what_is_missing() -> None:
    shop = book(sku("tea", 900), sku("cup", 300), promotion("p", CUP, condition=MINIMUM))
    result = priced(shop, {"tea": 1})
    assert [line.sku.sku_id for line in result.lines] == ["tea"]
    assert codes(result) == [("p", "minimum_not_met")]


def test_a_gift_of_what_is_bought_as_well_is_a_line_of_its_own() -> None:
    shop = book(sku("cup", 300), promotion("p", CUP))
    lines = priced(shop, {"cup": 3}).summary.shops[0].lines
    assert [(line.quantity, line.payable_minor) for line in lines] == [(3, 900), (2, 0)]


def test_a_gift_that_is_gone_is_left_out_with_a_warning() -> None:
    shop = book(sku("tea", 1000), sku("cup", 300), promotion("p", CUP))
    pool_id = shop.skus["cup"].pool_id
    for free, gifts in ((2, 1), (1, 0)):
        result = price(cart({"tea": 1}), shop, ANONYMOUS, NOW_MS, hints={pool_id: free})
        assert len(result.lines) == 1 + gifts
        assert result.summary.warnings == ([] if gifts else ["gift_sold_out: cup"])
    # the cart's own units come first
    for free, gifts in ((4, 1), (3, 0)):
        result = price(cart({"cup": 2}), shop, ANONYMOUS, NOW_MS, hints={pool_id: free})
        assert len(result.lines) == 1 + gifts
    # two rules that give the same
    both = shop.with_promotions([promotion("q", CUP)])
    result = price(cart({"tea": 1}), both, ANONYMOUS, NOW_MS, hints={pool_id: 3})
    assert [each.rule_id for each in result.summary.applied] == ["p"]


def test_a_gift_that_was_withdrawn_is_left_out_with_a_warning() -> None:
    shop = book(sku("tea", 1000), promotion("p", CUP))
    result = priced(shop, {"tea": 1})
    assert (len(result.lines), result.summary.warnings) == (1, ["gift_sold_out: cup"])


def test_a_gift_in_a_currency_in_which_it_is_not_sold_has_no_list_price() -> None:
    shop = book(sku("tea", 1000, currency="JPY"), sku("cup", 300), promotion("p", CUP))
    assert priced(shop, {"tea": 1}, currency="JPY").lines[1].summary.list_price_minor == 0


def test_a_coupon_for_a_gift_is_spent_where_it_gives_one_and_only_there() -> None:
    shop = book(sku("tea", 1000), sku("cup", 300), template("card", CUP, stack_category="x"))
    card = coupon("1", "card")
    result = priced(shop, {"tea": 1}, card, coupon("2", "card"))
    assert (result.coupons, result.summary.coupon_discount_minor) == ({"1": 0}, 0)
    assert codes(result) == [("2", "stack_conflict")]
    gone = {shop.skus["cup"].pool_id: 0}
    result = price(cart({"tea": 1}, coupon_ids=["1"]), shop, held(card), NOW_MS, hints=gone)
    assert (result.coupons, codes(result)) == ({}, [("1", "gift_sold_out")])


def test_a_coupon_for_a_gift_is_among_the_best_though_it_saves_nothing() -> None:
    shop = book(sku("tea", 1000), sku("cup", 300), template("card", CUP, condition=MINIMUM))
    choice = choose_coupons(cart({"tea": 1}), shop, held(coupon("1", "card")), NOW_MS)
    assert choice.usable == [UsableCoupon("1", "Name card", 0, True)]
    below = choose_coupons(cart({"cup": 1}), shop, held(coupon("1", "card")), NOW_MS)
    assert [each.code for each in below.unusable] == ["minimum_not_met"]


def test_a_gift_is_a_use_of_a_limited_rule_that_costs_none_of_its_budget() -> None:
    limits = {"uses_max": 1, "budget_minor": 1}
    shop = book(sku("tea", 1000), sku("cup", 300), template("card", CUP, limits=limits))
    result = priced(shop, {"tea": 1}, coupon("1", "card"), coupon("2", "card"))
    assert [(use.rule_id, use.uses, use.amount_minor) for use in result.uses] == [("card", 1, 0)]
    assert codes(result) == [("2", "uses_spent")]
