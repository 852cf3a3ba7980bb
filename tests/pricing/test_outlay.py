"""Promotions and coupons are chosen by what the buyer pays in the end: with freight, with tax, with gifts."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.pricing.buyer import Buyer
from app.pricing.engine import UsableCoupon, choose_coupons, price
from app.pricing.lines import resolve
from app.pricing.outlay import outlay_of
from app.pricing.rules import Rule
from app.pricing.schemas import CartLine
from app.pricing.walk import start
from tests.pricing.build import (
    NOW_MS,
    book,
    cart,
    codes,
    coupon,
    freight,
    held,
    priced,
    promotion,
    rates,
    sku,
    tax,
    template,
)
from tests.pricing.test_choose import off

REGION = "CN-SH"
FREE: dict[str, Any] = {"kind": "free_freight"}
FLAT: dict[str, Any] = {"basis": "quantity", "first": {"upto": 9, "fee_minor": 1_200}}
# sent for nothing from 100.00 on
FREE_ABOVE = {**FLAT, "free_above_minor": 10_000}


def goods(name: str, price_minor: int) -> Any:
    return sku(name, price_minor, freight_template_id="t")


def auto(price_book: Any, quantities: dict[str, int], *coupons: Any) -> Any:
    return priced(price_book, quantities, *coupons, region=REGION, coupon_ids=[], auto_coupons=True)


def test_a_coupon_that_costs_the_free_freight_is_left_out_unless_it_saves_more() -> None:
    for amount_minor, payable_minor in ((1_000, 10_500), (1_300, 9_200 + 1_200)):
        rules = book(goods("a", 10_500), freight("t", FREE_ABOVE), template("t1", off(amount_minor)))
        result = auto(rules, {"a": 1}, coupon("1", "t1"))
        assert result.summary.payable_minor == payable_minor


def test_what_a_coupon_saves_is_what_the_buyer_pays_less() -> None:
    rules = book(
        goods("a", 10_500),
        freight("t", FREE_ABOVE),
        tax("vat", 1_000),
        template("more", off(2_000)),
        template("less", off(400)),
        template("freed", FREE),
    )
    mine = [coupon("1", "more"), coupon("2", "less"), coupon("3", "freed")]
    buyer = Buyer(coupons=held(*mine).coupons, region=REGION)
    found = choose_coupons(cart({"a": 1}), rules, buyer, NOW_MS)
    # 115.50 without; 20.00 off costs 93.50 and 12.00 freight, which the third frees
    assert found.usable == [
        UsableCoupon("1", "Name more", 1_000, True),
        UsableCoupon("2", "Name less", 440, True),
        UsableCoupon("3", "Name freed", 0, True),
    ]
    assert found.unusable == []
    assert found.best_saves_minor == 11_550 - (10_500 - 2_400) * 11 // 10


def test_a_coupon_that_frees_the_freight_is_chosen_where_it_saves_more_than_another_of_its_category() -> None:
    rules = book(
        goods("a", 5_000),
        freight("t", FLAT),
        template("ten", off(1_000), stack_category="x"),
        template("freed", FREE, stack_category="x"),
    )
    result = auto(rules, {"a": 1}, coupon("1", "ten"), coupon("2", "freed"))
    assert (result.summary.payable_minor, result.coupons) == (5_000, {"2": 0})


def test_a_limit_on_the_freed_freight_counts() -> None:
    rules = book(
        goods("a", 5_000),
        freight("t", FLAT),
        template("ten", off(1_000), stack_category="x"),
        template("freed", FREE, stack_category="x", limits={"max_discount_minor": 900}),
    )
    result = auto(rules, {"a": 1}, coupon("1", "ten"), coupon("2", "freed"))
    assert (result.summary.payable_minor, result.coupons) == (5_200, {"1": 1_000})


def test_a_choice_group_is_settled_with_the_freight() -> None:
    rules = book(
        goods("a", 5_000),
        freight("t", FLAT),
        promotion("ten", off(1_000), choice_group="g"),
        promotion("freed", FREE, choice_group="g"),
    )
    assert priced(rules, {"a": 1}, region=REGION).summary.payable_minor == 5_000
    assert priced(rules, {"a": 1}).summary.payable_minor == 4_000  # nobody knows yet where it goes


def test_while_the_freight_is_unknown_a_coupon_for_it_can_be_used_and_is_not_chosen() -> None:
    rules = book(goods("a", 5_000), freight("t", FLAT), template("freed", FREE))
    found = choose_coupons(cart({"a": 1}), rules, held(coupon("1", "freed")), NOW_MS)
    assert found.usable == [UsableCoupon("1", "Name freed", 0, False)]


def test_gifts_come_on_top_of_the_cheapest_set() -> None:
    cup: dict[str, Any] = {"kind": "gift", "sku_id": "cup", "quantity": 1}
    rules = book(
        sku("a", 5_000),
        sku("cup", 300),
        template("ten", off(1_000), stack_category="x"),
        template("same", cup, stack_category="x"),
        template("gift", cup),
        template("far", cup, condition={"min_amount_minor": 9_000}),
    )
    mine = [coupon(*each) for each in (("1", "ten"), ("2", "same"), ("3", "gift"), ("4", "far"))]
    result = auto(rules, {"a": 1}, *mine)
    assert (result.summary.payable_minor, result.coupons) == (4_000, {"1": 1_000, "3": 0})
    named = priced(rules, {"a": 1}, *mine, auto_coupons=True)
    assert codes(named) == [("2", "stack_conflict"), ("4", "minimum_not_met")]


EFFECTS = [off(700), off(2_500), {"kind": "percent_off", "percent_bp": 1_500}, FREE]
TEMPLATES = st.lists(
    st.tuples(
        st.sampled_from(EFFECTS),
        st.sampled_from([None, None, "x", "y"]),
        st.sampled_from([None, 9_000, 12_000]),
        st.sampled_from([[], ["a"], ["b"]]),
        st.sampled_from([None, None, 500]),
    ),
    max_size=5,
)
PROMOTIONS = st.lists(
    st.tuples(
        st.sampled_from([off(1_500), FREE, {"kind": "percent_off", "percent_bp": 1_000}]),
        st.sampled_from([None, "g"]),
        st.sampled_from(["shop", "platform"]),
    ),
    max_size=3,
)


@settings(max_examples=150)
@given(
    coupons=TEMPLATES,
    promotions=PROMOTIONS,
    fees=st.tuples(st.sampled_from([300, 1_200]), st.sampled_from([None, 8_000, 11_000])),
    vat=st.sampled_from([0, 600, 1_900]),
    taxes_freight=st.booleans(),
)
def test_the_best_set_is_what_brute_force_finds(
    coupons: list[tuple[Any, ...]],
    promotions: list[tuple[Any, ...]],
    fees: tuple[int, int | None],
    vat: int,
    taxes_freight: bool,
) -> None:
    templates = [
        template(
            str(number),
            effect,
            stack_category=category,
            condition={"min_amount_minor": minimum},
            scope={"sku_ids": scope},
            limits={"max_discount_minor": most},
        )
        for number, (effect, category, minimum, scope, most) in enumerate(coupons)
    ]
    rules = [
        promotion(f"p{number}", effect, choice_group=group, lane=lane)
        for number, (effect, group, lane) in enumerate(promotions)
    ]
    fee = {**FLAT, "first": {"upto": 9, "fee_minor": fees[0]}, "free_above_minor": fees[1]}
    charged = [freight("t", fee), *([tax("vat", vat, applies_to_freight=taxes_freight)] if vat else [])]
    shop = [goods("a", 4_000), goods("b", 3_500), *charged]
    mine = [coupon(rule.rule_id, rule.rule_id) for rule in templates]
    quantities = {"a": 2, "b": 1}
    found = auto(book(*shop, *rules, *templates), quantities, *mine).summary.payable_minor
    tried = [
        price(
            cart(quantities, coupon_ids=[each.coupon_id for each in chosen]),
            book(*shop, *kept, *templates),
            Buyer(coupons=held(*mine).coupons, region=REGION),
            NOW_MS,
        ).summary.payable_minor
        for kept in _one_of_each_group(rules)
        for size in range(len(mine) + 1)
        for chosen in combinations(mine, size)
    ]
    assert found == min(tried)


def test_what_is_compared_is_what_the_buyer_is_told() -> None:
    """Two shops, two rates, one of them on freight too, a bill, a fee by weight in another currency."""
    by_weight = {
        "basis": "weight",
        "first": {"upto": 100, "fee_minor": 333},
        "then": {"step": 70, "fee_minor": 71},
    }
    shop = book(
        sku("a", 4_001, weight_grams=130, category_ids=("tea",), freight_template_id="t"),
        sku("b", 999, weight_grams=70, freight_template_id="t"),
        sku("c", 777, shop_id="8", freight_template_id="u"),
        sku("d", 1, item_type="bill"),
        freight("t", {**by_weight, "free_above_minor": 9_500}),
        freight("u", FLAT, shop_id="8", currency="USD"),
        tax("tea", 1_300, category_ids=["tea"], applies_to_freight=True),
        tax("all", 725),
    ).with_fx_rates(*rates("USD", ("CNY", "7.1", "2020-01-01")))
    bill = CartLine("d", 1, 5_005, 1_234)
    for quantities in ({"a": 1}, {"a": 2, "b": 1}, {"a": 2, "b": 2, "c": 3}, {"c": 1}):
        asked = cart(quantities)
        asked.lines.append(bill)
        summary = price(asked, shop, Buyer(region=REGION), NOW_MS).summary
        basket = resolve(asked, shop, NOW_MS)
        outlay = outlay_of(basket, shop, REGION)
        assert outlay is not None
        known_minor = outlay.payable_minor(start(basket.lines))
        assert known_minor + bill.undiscounted_minor == summary.payable_minor


def _one_of_each_group(rules: list[Rule]) -> list[tuple[Rule, ...]]:
    grouped: dict[str, list[Rule]] = {}
    for rule in rules:
        grouped.setdefault(rule.choice_group or rule.rule_id, []).append(rule)
    return list(product(*grouped.values()))
