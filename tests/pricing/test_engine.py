"""The engine by example, with exact values."""

from __future__ import annotations

import pytest

from app.flash_sales.snapshot import FlashItem
from app.pricing.buyer import ANONYMOUS
from app.pricing.errors import ActivityNotOpen, CurrencyNotSold, SkuNotFound
from app.pricing.lines import resolve
from app.pricing.plan import promotion_entries
from app.pricing.schemas import CartLine, CartRequest, Discount, Rejected
from app.pricing.walk import start, walk_on
from tests.pricing.build import (
    HOUR_MS,
    NOW_MS,
    book,
    cart,
    codes,
    coupon,
    discounts,
    flash_sale,
    held,
    price,
    priced,
    promotion,
    sku,
    template,
)

TEN_PERCENT = {"kind": "percent_off", "percent_bp": 1000}


def off(amount_minor: int, per: str = "order") -> dict[str, object]:
    return {"kind": "amount_off", "amount_minor": amount_minor, "per": per}


def test_the_contracts_example_comes_out_as_the_contract_shows_it() -> None:
    shop = book(
        sku("1001", 10_000, list_price_minor=12_000),
        promotion("p-9", off(3000), condition={"min_amount_minor": 20_000}),
        template("ten", off(1000)),
        template("twenty", off(2000), condition={"min_amount_minor": 27_000}),
    )
    result = priced(shop, {"1001": 2}, coupon("7001", "ten"), coupon("7002", "twenty"))
    summary = result.summary
    assert (summary.goods_minor, summary.promotion_discount_minor, summary.coupon_discount_minor) == (
        20_000,
        3000,
        1000,
    )
    assert summary.payable_minor == 16_000
    line = summary.shops[0].lines[0]
    assert (line.unit_price_minor, line.list_price_minor, line.discount_minor) == (10_000, 12_000, 4000)
    assert line.discounts == [
        Discount("promotion", "p-9", "Name p-9", 3000),
        Discount("coupon", "7001", "Name ten", 1000),
    ]
    assert summary.applied == line.discounts
    assert summary.rejected == [
        Rejected("coupon", "7002", "Name twenty", "minimum_not_met", missing_minor=11_000)
    ]
    assert result.coupons == {"7001": 1000}
    assert (result.lines[0].promotion_minor, result.lines[0].coupon_minor) == (3000, 1000)


def test_two_lines_of_one_sku_count_as_one() -> None:
    request = CartRequest("CNY", [CartLine("a", 2), CartLine("b", 1), CartLine("a", 3)])
    result = price(request, book(sku("a", 100), sku("b", 10)), ANONYMOUS, NOW_MS)
    assert [(line.sku.sku_id, line.summary.quantity) for line in result.lines] == [("a", 5), ("b", 1)]


def test_a_percentage_of_several_lines_is_taken_of_their_sum_and_then_split() -> None:
    shop = book(sku("a", 333), sku("b", 333), sku("c", 334), promotion("p", TEN_PERCENT))
    assert discounts(priced(shop, {"a": 1, "b": 1, "c": 1})) == {"a": 33, "b": 33, "c": 34}


def test_three_equal_lines_split_ten_by_the_smallest_sku_first_in_any_order_of_the_cart() -> None:
    shop = book(sku("a", 100), sku("b", 100), sku("c", 100), promotion("p", off(10)))
    assert discounts(priced(shop, {"a": 1, "b": 1, "c": 1})) == {"a": 4, "b": 3, "c": 3}
    assert discounts(priced(shop, {"c": 1, "b": 1, "a": 1})) == {"c": 3, "b": 3, "a": 4}


def test_currencies_without_and_with_three_decimals_split_their_own_smallest_unit() -> None:
    yen = book(*(sku(each, 100, currency="JPY") for each in "abc"), promotion("p", TEN_PERCENT))
    assert discounts(priced(yen, {"a": 1, "b": 1, "c": 1}, currency="JPY")) == {"a": 10, "b": 10, "c": 10}
    dinar = book(*(sku(each, 1005, currency="KWD") for each in "ab"), promotion("p", TEN_PERCENT))
    assert discounts(priced(dinar, {"a": 1, "b": 1}, currency="KWD")) == {"a": 101, "b": 100}


@pytest.mark.parametrize(("per", "given"), [("unit", 150), ("line", 50), ("order", 50)])
def test_an_amount_comes_off_each_unit_or_line_or_once(per: str, given: int) -> None:
    assert discounts(priced(book(sku("a", 100), promotion("p", off(50, per))), {"a": 3})) == {"a": given}


def test_an_amount_per_line_comes_off_each_line() -> None:
    shop = book(sku("a", 100), sku("b", 30), promotion("p", off(50, "line")))
    assert discounts(priced(shop, {"a": 1, "b": 1})) == {"a": 50, "b": 30}


def test_a_discount_larger_than_its_lines_takes_them_to_zero_and_no_further() -> None:
    shop = book(sku("a", 100), sku("b", 50), promotion("p", off(100_000)))
    result = priced(shop, {"a": 1, "b": 1})
    assert discounts(result) == {"a": 100, "b": 50}
    assert result.summary.payable_minor == 0


def test_a_hundred_percent_leaves_nothing_for_later_rules() -> None:
    shop = book(
        sku("a", 999),
        promotion("all", {"kind": "percent_off", "percent_bp": 10_000}, priority=5),
        template("t", off(10)),
    )
    result = priced(shop, {"a": 1}, coupon("1", "t"))
    assert result.summary.payable_minor == 0
    assert codes(result) == [("1", "gave_nothing")]
    assert result.coupons == {}


@pytest.mark.parametrize(
    ("goods", "given"), [(9_999, 0), (10_000, 1000), (29_999, 1000), (30_000, 5000), (90_000, 5000)]
)
def test_the_highest_tier_reached_counts_and_thresholds_are_inclusive(goods: int, given: int) -> None:
    steps = [
        {"min_amount_minor": 10_000, "amount_off_minor": 1000},
        {"min_amount_minor": 30_000, "amount_off_minor": 5000},
    ]
    shop = book(sku("a", goods), promotion("p", {"kind": "tiers", "tiers": steps}))
    assert discounts(priced(shop, {"a": 1})) == {"a": given}


@pytest.mark.parametrize(("goods", "given"), [(9_999, 0), (25_000, 2000), (45_000, 6000), (70_000, 11_000)])
def test_repeating_tiers_count_every_full_step_the_highest_first(goods: int, given: int) -> None:
    steps = [
        {"min_amount_minor": 10_000, "amount_off_minor": 1000},
        {"min_amount_minor": 30_000, "amount_off_minor": 5000},
    ]
    shop = book(sku("a", goods), promotion("p", {"kind": "tiers", "tiers": steps, "repeat": True}))
    assert discounts(priced(shop, {"a": 1})) == {"a": given}


def test_tiers_by_quantity_take_a_percentage() -> None:
    steps = [{"min_quantity": 2, "percent_bp": 1000}, {"min_quantity": 3, "percent_bp": 2000}]
    shop = book(sku("a", 100), sku("b", 200), promotion("p", {"kind": "tiers", "tiers": steps}))
    assert discounts(priced(shop, {"a": 1, "b": 1})) == {"a": 10, "b": 20}
    assert discounts(priced(shop, {"a": 2, "b": 1})) == {"a": 40, "b": 40}
    assert priced(shop, {"a": 1}).summary.rejected == [
        Rejected("promotion", "p", "Name p", "minimum_not_met", missing_quantity=1)
    ]


def test_lanes_come_in_their_order_and_within_one_the_higher_priority_first() -> None:
    rules = [
        promotion("platform", off(1), lane="platform", priority=99),
        promotion("low", off(2), lane="item", priority=1),
        promotion("shop", off(3), lane="shop"),
        promotion("high", off(4), lane="item", priority=2),
    ]
    applied = priced(book(sku("a", 100), *rules), {"a": 1}).summary.applied
    assert [each.rule_id for each in applied] == ["high", "low", "shop", "platform"]


def test_the_order_of_stacking_changes_the_result() -> None:
    item = sku("a", 10_000)
    percent_first = book(
        item, promotion("p", TEN_PERCENT, lane="item"), promotion("q", off(1000), lane="shop")
    )
    amount_first = book(
        item, promotion("p", TEN_PERCENT, lane="shop"), promotion("q", off(1000), lane="item")
    )
    assert priced(percent_first, {"a": 1}).summary.payable_minor == 8000
    assert priced(amount_first, {"a": 1}).summary.payable_minor == 8100


def test_a_percentage_looks_at_the_list_price_or_at_what_is_left_as_its_base_says() -> None:
    item = sku("a", 10_000, list_price_minor=12_000)
    first = promotion("first", off(2000), lane="item")
    on_left = book(item, first, promotion("p", TEN_PERCENT))
    on_list = book(item, first, promotion("p", TEN_PERCENT, condition={"base": "list"}))
    assert priced(on_left, {"a": 1}).summary.payable_minor == 7200
    assert priced(on_list, {"a": 1}).summary.payable_minor == 6800


def test_a_percentage_of_the_list_price_takes_no_line_below_zero() -> None:
    half = {"kind": "percent_off", "percent_bp": 5000}
    shop = book(
        sku("a", 100, list_price_minor=1000), sku("b", 1000), promotion("p", half, condition={"base": "list"})
    )
    assert discounts(priced(shop, {"a": 1, "b": 1})) == {"a": 100, "b": 500}


def test_a_minimum_looks_at_what_earlier_rules_have_left() -> None:
    shop = book(
        sku("a", 10_000),
        promotion("first", off(1), lane="item"),
        promotion("second", off(500), condition={"min_amount_minor": 10_000}),
    )
    result = priced(shop, {"a": 1})
    assert result.summary.payable_minor == 9999
    assert result.summary.rejected == [
        Rejected("promotion", "second", "Name second", "minimum_not_met", missing_minor=1)
    ]


def test_an_exclusive_rule_keeps_its_lane_off_its_lines_only() -> None:
    shop = book(
        sku("a", 100),
        sku("b", 100),
        promotion("only", off(10), priority=9, exclusive=True, scope={"sku_ids": ["a"]}),
        promotion("also", off(5, "line")),
        promotion("other-lane", off(1, "line"), lane="platform"),
    )
    assert discounts(priced(shop, {"a": 1, "b": 1})) == {"a": 11, "b": 6}


def test_an_exclusive_rule_leaves_lines_that_its_lane_has_lowered_already() -> None:
    shop = book(
        sku("a", 100),
        sku("b", 100),
        promotion("first", off(5), priority=9, scope={"sku_ids": ["a"]}),
        promotion("only", off(10, "line"), exclusive=True),
    )
    assert discounts(priced(shop, {"a": 1, "b": 1})) == {"a": 5, "b": 10}


def test_of_a_choice_group_only_the_best_for_the_buyer_applies() -> None:
    shop = book(
        sku("a", 10_000),
        promotion("p", TEN_PERCENT, choice_group="g", priority=9),
        promotion("q", off(1500), choice_group="g"),
        promotion("r", off(100), choice_group="g", lane="platform"),
    )
    assert [each.rule_id for each in priced(shop, {"a": 1}).summary.applied] == ["q"]
    assert [each.rule_id for each in priced(shop, {"a": 2}).summary.applied] == ["p"]


def test_the_best_of_a_choice_group_is_judged_by_the_whole_cart() -> None:
    shop = book(
        sku("a", 10_000),
        promotion("more-now", off(1000), lane="item", choice_group="g"),
        promotion("less-now", off(900), lane="item", choice_group="g"),
        promotion("later", off(500), condition={"min_amount_minor": 9100}),
    )
    result = priced(shop, {"a": 1})
    assert [each.rule_id for each in result.summary.applied] == ["less-now", "later"]
    assert result.summary.payable_minor == 8600


def test_limits_bound_the_discount_and_the_units_that_get_it() -> None:
    capped = book(
        sku("a", 1000), sku("b", 1000), promotion("p", TEN_PERCENT, limits={"max_discount_minor": 151})
    )
    assert discounts(priced(capped, {"a": 1, "b": 1})) == {"a": 76, "b": 75}
    two_units = book(sku("a", 1000), promotion("p", TEN_PERCENT, limits={"max_quantity": 2}))
    assert discounts(priced(two_units, {"a": 5})) == {"a": 200}
    per_unit = book(sku("a", 1000), promotion("p", off(7, "unit"), limits={"max_quantity": 2}))
    assert discounts(priced(per_unit, {"a": 5})) == {"a": 14}


def test_units_under_a_limit_are_rounded_once() -> None:
    # 3 units of 335 less 2 are 1003: two thirds of it, of that 25 %, is 167.1666…
    shop = book(
        sku("a", 335),
        promotion("first", off(2), lane="item"),
        promotion("p", {"kind": "percent_off", "percent_bp": 2500}, limits={"max_quantity": 2}),
    )
    assert discounts(priced(shop, {"a": 3})) == {"a": 2 + 167}


@pytest.mark.parametrize(
    ("scope", "lowered"),
    [
        ({}, "abc"),
        ({"sku_ids": ["a"]}, "a"),
        ({"item_ids": ["item-b"]}, "b"),
        ({"category_ids": ["tea"]}, "ab"),
        ({"shop_ids": ["8"]}, "c"),
        ({"sku_ids": ["a"], "shop_ids": ["8"]}, "ac"),
        ({"sku_ids": ["unknown"]}, ""),
    ],
)
def test_a_scope_is_any_of_its_lists_and_an_empty_one_everything(
    scope: dict[str, list[str]], lowered: str
) -> None:
    shop = book(
        sku("a", 100, category_ids=("tea",)),
        sku("b", 100, category_ids=("tea", "new")),
        sku("c", 100, shop_id="8"),
        promotion("p", off(1, "line"), scope=scope),
    )
    result = discounts(priced(shop, {"a": 1, "b": 1, "c": 1}))
    assert "".join(each for each in result if result[each]) == lowered


def test_a_shops_rule_stays_within_its_shop_and_the_summary_groups_by_shop() -> None:
    shop = book(
        sku("a", 100),
        sku("b", 100, shop_id="8"),
        sku("c", 100),
        promotion("p", TEN_PERCENT, shop_id="7"),
        promotion("q", off(1, "line"), shop_id="7", scope={"category_ids": [], "shop_ids": ["8"]}),
    )
    result = priced(shop, {"a": 1, "b": 1, "c": 1})
    assert discounts(result) == {"a": 10, "b": 0, "c": 10}
    assert [(each.shop_id, each.goods_minor, each.payable_minor) for each in result.summary.shops] == [
        ("7", 200, 180),
        ("8", 100, 100),
    ]


def test_rules_apply_within_their_window_and_currencies_only() -> None:
    at = "2027-01-15T08:00:00Z"  # NOW_MS
    shop = book(
        sku("a", 100),
        promotion("from-now", off(1), starts_at=at),
        promotion("until-now", off(2), ends_at=at),
        promotion("dollars", off(4), condition={"currencies": ["USD"]}),
        promotion("yuan", off(8), condition={"currencies": ["USD", "CNY"]}),
    )
    assert discounts(priced(shop, {"a": 1})) == {"a": 9}


def test_a_coupon_that_does_not_apply_says_why_and_changes_nothing() -> None:
    shop = book(
        sku("a", 100),
        template("t", off(10)),
        template("other", off(10), scope={"sku_ids": ["z"]}),
        template("dollars", off(10), condition={"currencies": ["USD"]}),
    )
    result = priced(
        shop,
        {"a": 1},
        coupon("used", "t", status="used"),
        coupon("locked", "t", status="locked"),
        coupon("late", "t", valid_to_ms=NOW_MS),
        coupon("early", "t", valid_from_ms=NOW_MS + 1),
        coupon("scope", "other"),
        coupon("currency", "dollars"),
        coupon("no-template", "unknown"),
        coupon_ids=["used", "locked", "late", "early", "scope", "currency", "no-template", "not-mine"],
    )
    assert result.summary.payable_minor == 100
    assert dict(codes(result)) == {
        "used": "already_used",
        "locked": "already_used",
        "late": "expired",
        "early": "not_started",
        "scope": "not_in_scope",
        "currency": "currency_not_accepted",
        "no-template": "coupon_not_found",
        "not-mine": "coupon_not_found",
    }


def test_one_coupon_of_a_stack_category_counts_and_the_shops_comes_first() -> None:
    shop = book(
        sku("a", 100),
        template("platform", off(20), stack_category="x"),
        template("shop", off(10), stack_category="x", shop_id="7"),
        template("free", off(1)),
    )
    result = priced(shop, {"a": 1}, coupon("1", "platform"), coupon("2", "shop"), coupon("3", "free"))
    assert discounts(result) == {"a": 11}
    assert codes(result) == [("1", "stack_conflict")]


def test_a_coupon_that_gave_nothing_does_not_take_its_category() -> None:
    shop = book(
        sku("a", 100),
        template("big", off(50), stack_category="x", condition={"min_amount_minor": 500}),
        template("small", off(10), stack_category="x"),
    )
    result = priced(shop, {"a": 1}, coupon("1", "big"), coupon("2", "small"))
    assert discounts(result) == {"a": 10}
    assert codes(result) == [("1", "minimum_not_met")]


def test_an_unknown_sku_is_named() -> None:
    with pytest.raises(SkuNotFound) as refused:
        priced(book(sku("a", 100)), {"a": 1, "x": 1, "y": 1})
    assert refused.value.problem()["sku_ids"] == ["x", "y"]


def test_a_sku_without_a_price_in_the_currency_is_named() -> None:
    with pytest.raises(CurrencyNotSold) as refused:
        priced(book(sku("a", 100), sku("b", 100, currency="USD")), {"a": 1, "b": 1})
    assert refused.value.problem()["sku_ids"] == ["b"]


def flash(**fields: object) -> object:
    items = {"a": FlashItem(50, "CNY", 100, 2, pool_id=901), "b": FlashItem(70, "USD", 5, None, pool_id=902)}
    return flash_sale("noon", items, **fields)


def test_a_flash_sale_gives_its_own_price_pool_and_limit() -> None:
    shop = book(sku("a", 100, list_price_minor=120), flash())  # type: ignore[arg-type]
    result = priced(shop, {"a": 3}, mode="flash", activity_id="noon")
    line = result.lines[0]
    assert (line.summary.unit_price_minor, line.summary.list_price_minor) == (50, 120)
    assert (line.summary.max_quantity, line.summary.available) == (2, False)
    assert line.pool_id == 901
    assert result.flash_sale is shop.flash_sales["noon"]
    assert result.summary.payable_minor == 150


@pytest.mark.parametrize(
    "window",
    [{"ended": True}, {"starts_at_ms": NOW_MS + 1}, {"ends_at_ms": NOW_MS}, {"activity_id": "unknown"}],
)
def test_a_flash_sale_outside_of_its_window_is_refused(window: dict[str, object]) -> None:
    activity_id = window.pop("activity_id", "noon")
    shop = book(sku("a", 100), flash(**window))  # type: ignore[arg-type]
    with pytest.raises(ActivityNotOpen):
        priced(shop, {"a": 1}, mode="flash", activity_id=activity_id)


def test_a_flash_sale_sells_its_own_skus_in_its_own_currency_only() -> None:
    shop = book(sku("a", 100), sku("b", 100), sku("c", 100), flash())  # type: ignore[arg-type]
    with pytest.raises(SkuNotFound) as refused:
        priced(shop, {"a": 1, "c": 1}, mode="flash", activity_id="noon")
    assert refused.value.problem()["sku_ids"] == ["c"]
    with pytest.raises(CurrencyNotSold):
        priced(shop, {"b": 1}, mode="flash", activity_id="noon")


def test_the_gates_hint_bounds_what_a_buyer_is_offered() -> None:
    shop = book(sku("a", 100), sku("b", 100))
    pools = {shop.skus["a"].pool_id: 3}
    result = price(cart({"a": 4, "b": 4}), shop, ANONYMOUS, NOW_MS, hints=pools)
    lines = [line.summary for line in result.lines]
    assert [(line.max_quantity, line.available) for line in lines] == [(3, False), (9999, True)]


def test_a_changed_promotion_replaces_the_old_one_and_a_removed_one_is_gone() -> None:
    first = book(sku("a", 100), promotion("p", off(1), scope={"sku_ids": ["a"]}))
    second = first.with_promotions([promotion("p", off(2), scope={"item_ids": ["item-a"]})])
    third = second.with_promotions([], removed_ids=["p"])
    assert [discounts(priced(each, {"a": 1}))["a"] for each in (first, second, third)] == [1, 2, 0]


def test_a_withdrawn_sku_is_sold_no_more() -> None:
    shop = book(sku("a", 100), sku("b", 100)).with_catalog(withdrawn_sku_ids=["a"])
    with pytest.raises(SkuNotFound):
        priced(shop, {"a": 1})
    assert priced(shop, {"b": 1}).summary.payable_minor == 100


def test_the_quote_ends_when_it_was_said_to() -> None:
    shop = book(sku("a", 100))
    result = price(cart({"a": 1}), shop, held(), NOW_MS + HOUR_MS, quote_id="q", quote_ttl_s=300)
    assert result.summary.quote_id == "q"
    assert result.summary.expires_at.isoformat() == "2027-01-15T09:05:00+00:00"


def test_a_rule_that_frees_freight_notes_its_lines_and_lowers_no_price() -> None:
    lines = book(sku("a", 100), sku("b", 100), promotion("p", {"kind": "free_freight"}))
    basket = resolve(cart({"a": 1, "b": 1}), lines, NOW_MS)
    walk = walk_on(start(basket.lines), promotion_entries(basket), basket.lines)
    assert [(freed.entry.rule_id, freed.indexes) for freed in walk.freed] == [("p", [0, 1])]
    assert (walk.left, walk.steps, walk.misses) == ([100, 100], [], [])
