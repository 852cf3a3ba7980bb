"""The best set of coupons: equal to brute force, and explained."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.pricing.engine import UnusableCoupon, UsableCoupon, choose_coupons
from tests.pricing.build import (
    NOW_MS,
    book,
    cart,
    codes,
    coupon,
    discounts,
    held,
    priced,
    promotion,
    sku,
    template,
)


def off(amount_minor: int) -> dict[str, Any]:
    return {"kind": "amount_off", "amount_minor": amount_minor}


EFFECTS = [off(700), {"kind": "percent_off", "percent_bp": 1500}, off(1500)]

TEMPLATES = st.lists(
    st.tuples(
        st.sampled_from(EFFECTS),
        st.sampled_from([None, "x", "y"]),
        st.sampled_from([None, 5000, 9000]),
        st.sampled_from([[], ["a"], ["b"]]),
    ),
    max_size=5,
)


@settings(max_examples=60)
@given(TEMPLATES)
def test_auto_coupons_find_what_brute_force_finds(drawn: list[tuple[Any, ...]]) -> None:
    rules = [
        template(
            str(number),
            effect,
            stack_category=category,
            condition={"min_amount_minor": minimum},
            scope={"sku_ids": scope},
        )
        for number, (effect, category, minimum, scope) in enumerate(drawn)
    ]
    shop = book(sku("a", 4000), sku("b", 6001), promotion("p", off(100)), *rules)
    coupons = [coupon(f"c{rule.rule_id}", rule.rule_id) for rule in rules]
    cheapest = min(
        priced(shop, {"a": 1, "b": 1}, *chosen).summary.payable_minor
        for size in range(len(coupons) + 1)
        for chosen in combinations(coupons, size)
    )
    automatic = priced(shop, {"a": 1, "b": 1}, *coupons, auto_coupons=True, coupon_ids=[])
    assert automatic.summary.payable_minor == cheapest
    backwards = priced(shop, {"a": 1, "b": 1}, *reversed(coupons))
    assert backwards.summary.applied == priced(shop, {"a": 1, "b": 1}, *coupons).summary.applied
    choice = choose_coupons(cart({"a": 1, "b": 1}), shop, held(*coupons), NOW_MS)
    assert 9901 - choice.best_saves_minor == cheapest
    best_ids = {each.coupon_id for each in choice.usable if each.best}
    best = [each for each in coupons if each.coupon_id in best_ids]
    assert priced(shop, {"a": 1, "b": 1}, *best).summary.payable_minor == cheapest
    assert len(choice.usable) + len(choice.unusable) == len(coupons)


def test_more_coupons_than_the_exact_search_takes_are_chosen_one_by_one() -> None:
    shop = book(sku("a", 100_000), *(template(str(n), off(100 + n)) for n in range(30)))
    coupons = [coupon(f"c{n}", str(n)) for n in range(30)]
    result = priced(shop, {"a": 1}, *coupons, auto_coupons=True, coupon_ids=[])
    # the twenty that save most: 110 to 129
    assert result.summary.coupon_discount_minor == sum(range(110, 130))
    assert set(result.coupons) == {f"c{n}" for n in range(10, 30)}


def test_auto_coupons_spend_none_for_nothing_and_the_sooner_ending_of_two_equals() -> None:
    shop = book(sku("a", 100), template("t", off(100), stack_category="x"), template("u", off(50)))
    later = coupon("1", "t", valid_to_ms=NOW_MS + 9)
    sooner = coupon("2", "t", valid_to_ms=NOW_MS + 5)
    result = priced(shop, {"a": 1}, later, sooner, coupon("3", "u"), auto_coupons=True, coupon_ids=[])
    assert result.coupons == {"2": 100}


def test_of_two_equally_good_sets_the_smaller_is_spent() -> None:
    shop = book(sku("a", 100), template("t", off(100)), template("u", off(60)), template("v", off(40)))
    coupons = [coupon("1", "t"), coupon("2", "u"), coupon("3", "v")]
    result = priced(shop, {"a": 1}, *coupons, auto_coupons=True, coupon_ids=[])
    assert result.coupons == {"1": 100}


def test_auto_coupons_say_why_a_named_coupon_is_not_among_them() -> None:
    shop = book(
        sku("a", 100),
        template("t", off(60), stack_category="x"),
        template("u", off(50), stack_category="x"),
        template("v", off(5), condition={"min_amount_minor": 101}),
        template("w", off(5), scope={"sku_ids": ["z"]}),
        template("unnamed", off(5), scope={"sku_ids": ["z"]}),
    )
    result = priced(
        shop,
        {"a": 1},
        *(coupon(each, each) for each in ("t", "u", "v", "w", "unnamed")),
        auto_coupons=True,
        coupon_ids=["u", "v", "w", "not-mine"],
    )
    assert discounts(result) == {"a": 60}
    assert codes(result) == [
        ("w", "not_in_scope"),
        ("not-mine", "coupon_not_found"),
        ("u", "stack_conflict"),
        ("v", "minimum_not_met"),
    ]


def test_each_coupon_says_what_it_saves_alone_or_what_it_lacks() -> None:
    shop = book(
        sku("a", 1000),
        template("t", off(60), stack_category="x"),
        template("u", off(50), stack_category="x"),
        template("v", off(5), condition={"min_amount_minor": 1001}),
        template("w", off(5), condition={"min_quantity": 3}),
    )
    coupons = held(*(coupon(each, each) for each in ("t", "u", "v", "w")), coupon("x", "t", status="used"))
    choice = choose_coupons(cart({"a": 1}), shop, coupons, NOW_MS)
    assert choice.usable == [UsableCoupon("t", "Name t", 60, True), UsableCoupon("u", "Name u", 50, False)]
    assert choice.best_saves_minor == 60
    assert choice.unusable == [
        UnusableCoupon("v", "Name v", "minimum_not_met", missing_minor=1),
        UnusableCoupon("w", "Name w", "minimum_not_met", missing_quantity=2),
    ]
