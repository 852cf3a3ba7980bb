"""Each kind of effect by example, with exact numbers: fixed prices, sets, bundles, add-ons."""

from __future__ import annotations

from typing import Any

import pytest

from app.pricing.schemas import Rejected
from tests.pricing.build import book, codes, coupon, discounts, priced, promotion, sku, template

Effect = dict[str, Any]


def fixed(price_minor: int) -> Effect:
    return {"kind": "fixed_price", "price_minor": price_minor}


def sets(buy: int, get: int, percent_bp: int = 10_000, **more: Any) -> Effect:
    return {
        "kind": "buy_x_get_y",
        "buy_quantity": buy,
        "get_quantity": get,
        "get_percent_bp": percent_bp,
    } | more


def bundle(price_minor: int, **sku_quantities: int) -> Effect:
    return {"kind": "bundle", "sku_quantities": sku_quantities, "price_minor": price_minor}


def addon(sku_id: str, price_minor: int) -> Effect:
    return {"kind": "addon_price", "sku_id": sku_id, "price_minor": price_minor}


# --- fixed_price -------------------------------------------------------------------------------------------


def test_a_fixed_price_is_a_units_and_never_raises_one() -> None:
    shop = book(sku("a", 1000), sku("b", 700), promotion("p", fixed(800)))
    assert discounts(priced(shop, {"a": 3, "b": 1})) == {"a": 600, "b": 0}


def test_a_fixed_price_of_nothing_and_for_some_units_only() -> None:
    assert discounts(priced(book(sku("a", 333), promotion("p", fixed(0))), {"a": 3})) == {"a": 999}
    two = promotion("p", fixed(800), limits={"max_quantity": 2})
    assert discounts(priced(book(sku("a", 1000), two), {"a": 5})) == {"a": 400}


def test_a_fixed_price_looks_at_what_earlier_rules_have_left() -> None:
    earlier = promotion("first", {"kind": "amount_off", "amount_minor": 100}, lane="item")
    shop = book(sku("a", 1000), earlier, promotion("p", fixed(800), limits={"max_quantity": 1}))
    # 2900 are left of three units; one of them is worth 966 and two thirds, and gets 166 off
    assert discounts(priced(shop, {"a": 3})) == {"a": 100 + 166}


# --- buy_x_get_y -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quantity", "given"), [(1, 0), (2, 0), (3, 500), (5, 500), (6, 1000), (7, 1000)])
def test_buy_two_get_one_free_gives_nothing_for_an_incomplete_set(quantity: int, given: int) -> None:
    shop = book(sku("a", 500), promotion("p", sets(2, 1)))
    assert discounts(priced(shop, {"a": quantity})) == {"a": given}


def test_an_incomplete_set_says_how_many_units_are_missing() -> None:
    shop = book(sku("a", 500), promotion("p", sets(2, 1)))
    assert priced(shop, {"a": 1}).summary.rejected == [
        Rejected("promotion", "p", "Name p", "minimum_not_met", missing_quantity=2)
    ]


@pytest.mark.parametrize(
    ("pick", "given"), [("cheapest", {"a": 0, "b": 0, "c": 200}), ("dearest", {"a": 900, "b": 0, "c": 0})]
)
def test_the_cheapest_units_are_free_or_the_dearest(pick: str, given: dict[str, int]) -> None:
    shop = book(sku("a", 900), sku("b", 500), sku("c", 200), promotion("p", sets(2, 1, get_pick=pick)))
    assert discounts(priced(shop, {"a": 1, "b": 1, "c": 1})) == given


def test_the_cheapest_is_judged_by_what_earlier_rules_have_left_or_by_the_list_price() -> None:
    skus = [sku("a", 900, list_price_minor=900), sku("b", 800, list_price_minor=1000)]
    cheap = promotion("first", fixed(100), lane="item", scope={"sku_ids": ["a"]})
    now = book(*skus, cheap, promotion("p", sets(1, 1)))
    assert discounts(priced(now, {"a": 1, "b": 1})) == {"a": 900, "b": 0}
    on_list = {"base": "list"}
    listed = book(*skus, promotion("p", sets(1, 1, 5000, get_pick="dearest"), condition=on_list))
    assert discounts(priced(listed, {"a": 1, "b": 1})) == {"a": 0, "b": 500}


def test_the_second_at_half_price_rounds_half_up_once_over_all_such_units() -> None:
    # one line: half of three units of 333 is 499.5
    shop = book(sku("a", 333), promotion("p", sets(1, 1, 5000)))
    assert discounts(priced(shop, {"a": 6})) == {"a": 500}
    # several lines: half of 101 + 101 is 101 in all, and the earlier line takes the odd one
    two = book(sku("a", 101), sku("b", 101), sku("c", 900), promotion("p", sets(1, 1, 5000)))
    assert discounts(priced(two, {"a": 1, "b": 1, "c": 2})) == {"a": 51, "b": 50, "c": 0}


def test_sets_are_bounded_by_max_times_and_units_of_a_line_by_max_quantity() -> None:
    twice = book(sku("a", 100), promotion("p", sets(1, 1, max_times=2)))
    assert discounts(priced(twice, {"a": 9})) == {"a": 200}
    one_each = promotion("p", sets(1, 1), limits={"max_quantity": 1})
    assert discounts(priced(book(sku("a", 100), sku("b", 50), one_each), {"a": 4, "b": 4})) == {
        "a": 100,
        "b": 50,
    }


@pytest.mark.parametrize(
    ("quantities", "given"),
    [
        ({"a": 2, "b": 1}, {"a": 0, "b": 150}),
        ({"a": 1, "b": 1}, {"a": 0, "b": 0}),
        ({"a": 4, "b": 1}, {"a": 0, "b": 150}),
        ({"a": 4, "b": 3}, {"a": 0, "b": 300}),
        ({"a": 4}, {"a": 0}),
        ({"b": 4}, {"b": 0}),
    ],
)
def test_buying_from_one_scope_gives_units_of_another(
    quantities: dict[str, int], given: dict[str, int]
) -> None:
    effect = sets(2, 1, 5000, get_scope={"sku_ids": ["b"]})
    shop = book(sku("a", 1000), sku("b", 300), promotion("p", effect, scope={"sku_ids": ["a"]}))
    assert discounts(priced(shop, quantities)) == given


@pytest.mark.parametrize(
    ("quantities", "given"),
    [
        # b is in both scopes: a unit that is bought is not free as well
        ({"b": 1}, {"b": 0}),
        ({"b": 2}, {"b": 300}),
        ({"b": 3}, {"b": 300}),
        ({"a": 1, "b": 1}, {"a": 0, "b": 300}),
        ({"a": 1, "b": 2}, {"a": 0, "b": 300}),
        ({"a": 1, "b": 3}, {"a": 0, "b": 600}),
        # c can only be had free: then b must be what is bought
        ({"b": 1, "c": 1}, {"b": 0, "c": 400}),
        ({"b": 2, "c": 1}, {"b": 300, "c": 0}),
        ({"b": 3, "c": 1}, {"b": 300, "c": 400}),
        ({"b": 1, "c": 5}, {"b": 0, "c": 400}),
    ],
)
def test_scopes_that_overlap_use_no_unit_twice(quantities: dict[str, int], given: dict[str, int]) -> None:
    effect = sets(1, 1, get_scope={"sku_ids": ["b", "c"]})
    rule = promotion("p", effect, scope={"sku_ids": ["a", "b"]})
    shop = book(sku("a", 1000), sku("b", 300), sku("c", 400), rule)
    assert discounts(priced(shop, quantities)) == given


def test_a_coupon_whose_free_units_are_not_in_the_cart_is_not_in_scope() -> None:
    effect = sets(1, 1, get_scope={"sku_ids": ["z"]})
    assert codes(priced(book(sku("a", 100), template("t", effect)), {"a": 2}, coupon("1", "t"))) == [
        ("1", "not_in_scope")
    ]


# --- bundle ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantities", "given"),
    [
        ({"a": 1, "b": 2}, {"a": 500, "b": 500}),
        ({"a": 1, "b": 1}, {"a": 0, "b": 0}),
        ({"a": 2, "b": 2}, {"a": 500, "b": 500}),
        ({"a": 3, "b": 5}, {"a": 1000, "b": 1000}),
        ({"b": 9}, {"b": 0}),
    ],
)
def test_a_bundle_costs_its_price_as_often_as_the_cart_holds_it(
    quantities: dict[str, int], given: dict[str, int]
) -> None:
    shop = book(sku("a", 1000), sku("b", 500), promotion("p", bundle(1000, a=1, b=2)))
    assert discounts(priced(shop, quantities)) == given


def test_what_a_bundle_saves_is_split_by_the_units_that_are_in_it() -> None:
    # 300 + 200 + 100 for 500; of c only one of three units is in the set
    shop = book(sku("a", 300), sku("b", 200), sku("c", 100), promotion("p", bundle(500, a=1, b=1, c=1)))
    result = priced(shop, {"a": 1, "b": 1, "c": 3})
    assert discounts(result) == {"a": 50, "b": 33, "c": 17}
    assert result.summary.payable_minor == 500 + 200


def test_a_bundle_that_would_be_dearer_gives_nothing() -> None:
    shop = book(sku("a", 300), sku("b", 200), promotion("p", bundle(501, a=1, b=1)))
    assert discounts(priced(shop, {"a": 1, "b": 1})) == {"a": 0, "b": 0}


def test_a_bundle_for_nothing_takes_its_units_to_zero_and_no_others() -> None:
    shop = book(sku("a", 333), sku("b", 1), promotion("p", bundle(0, a=2, b=1)))
    assert discounts(priced(shop, {"a": 3, "b": 1})) == {"a": 666, "b": 1}


def test_sets_of_a_bundle_are_bounded_by_the_units_of_a_line() -> None:
    rule = promotion("p", bundle(100, a=1, b=1), limits={"max_quantity": 2})
    assert discounts(priced(book(sku("a", 100), sku("b", 100), rule), {"a": 5, "b": 5})) == {
        "a": 100,
        "b": 100,
    }


# --- addon_price -------------------------------------------------------------------------------------------


def test_an_addon_has_its_price_beside_other_lines_that_fulfil_the_condition() -> None:
    rule = promotion("p", addon("cup", 100), condition={"min_amount_minor": 1000})
    shop = book(sku("tea", 1000), sku("cup", 800), rule)
    assert discounts(priced(shop, {"tea": 1, "cup": 1})) == {"tea": 0, "cup": 700}
    # one unit of an order, unless the limit says otherwise
    assert discounts(priced(shop, {"tea": 1, "cup": 3})) == {"tea": 0, "cup": 700}
    # by itself it fulfils nothing
    assert discounts(priced(shop, {"cup": 3})) == {"cup": 0}


def test_an_addon_does_not_count_for_its_own_condition() -> None:
    rule = promotion("p", addon("cup", 100), condition={"min_amount_minor": 1500})
    result = priced(book(sku("tea", 1000), sku("cup", 800), rule), {"tea": 1, "cup": 1})
    assert discounts(result) == {"tea": 0, "cup": 0}
    assert result.summary.rejected == [
        Rejected("promotion", "p", "Name p", "minimum_not_met", missing_minor=500)
    ]


def test_an_addons_limit_is_its_units_of_an_order_and_its_price_never_raises_one() -> None:
    two = promotion("p", addon("cup", 100), limits={"max_quantity": 2})
    assert discounts(priced(book(sku("tea", 1000), sku("cup", 800), two), {"tea": 1, "cup": 3})) == {
        "tea": 0,
        "cup": 1400,
    }
    dear = book(sku("tea", 1000), sku("cup", 80), promotion("p", addon("cup", 100)))
    assert discounts(priced(dear, {"tea": 1, "cup": 1})) == {"tea": 0, "cup": 0}


def test_an_exclusive_rule_keeps_its_lane_off_what_it_aims_at() -> None:
    only = promotion("only", addon("cup", 100), priority=9, exclusive=True)
    also = promotion("also", {"kind": "amount_off", "amount_minor": 5, "per": "line"})
    shop = book(sku("tea", 1000), sku("cup", 800), only, also)
    assert discounts(priced(shop, {"tea": 1, "cup": 1})) == {"tea": 5, "cup": 700}


# --- currencies, and the whole of a line --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effect", "given"),
    [
        (fixed(5), {"a": 2, "b": 8}),
        (sets(1, 1, 5000), {"a": 4, "b": 0}),  # half of 7 is 3.5
        (bundle(5, a=1, b=1), {"a": 5, "b": 10}),  # 7 + 13 less 5, split 7 to 13: 5.25 and 9.75
        (addon("b", 4), {"a": 0, "b": 9}),
    ],
)
@pytest.mark.parametrize("currency", ["JPY", "CNY", "KWD"])
def test_every_kind_works_in_the_smallest_unit_of_its_currency(
    effect: Effect, given: dict[str, int], currency: str
) -> None:
    shop = book(sku("a", 7, currency=currency), sku("b", 13, currency=currency), promotion("p", effect))
    assert discounts(priced(shop, {"a": 1, "b": 1}, currency=currency)) == given


def test_a_hundred_percent_of_some_units_takes_no_line_below_zero() -> None:
    # 10 + a quarter of 1 + a quarter of 1 is 10.5, rounded up to 11: the line of 10 can give only 10
    rule = promotion("p", {"kind": "percent_off", "percent_bp": 10_000}, limits={"max_quantity": 1})
    earlier = promotion(
        "first", fixed(0), lane="item", scope={"sku_ids": ["b", "c"]}, limits={"max_quantity": 3}
    )
    shop = book(sku("a", 10), sku("b", 1), sku("c", 1), earlier, rule)
    assert discounts(priced(shop, {"a": 1, "b": 4, "c": 4})) == {"a": 10, "b": 3 + 1, "c": 3}


def test_a_discount_larger_than_its_line_and_a_ceiling_hold_for_sets_too() -> None:
    capped = promotion("p", sets(1, 1), limits={"max_discount_minor": 150})
    assert discounts(priced(book(sku("a", 100), capped), {"a": 6})) == {"a": 150}
    on_list = promotion("p", sets(1, 1), condition={"base": "list"})
    assert discounts(priced(book(sku("a", 100, list_price_minor=400), on_list), {"a": 2})) == {"a": 200}
