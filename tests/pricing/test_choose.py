"""The best set of coupons: equal to brute force, and explained."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.pricing.book import PriceBook
from app.pricing.buyer import BuyerCoupon
from app.pricing.engine import UnusableCoupon, UsableCoupon, choose_coupons
from app.pricing.rules import Rule
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


# The last gives more on less: its lower step is worth more.
EFFECTS = [
    off(700),
    {"kind": "percent_off", "percent_bp": 1500},
    off(1500),
    {
        "kind": "tiers",
        "tiers": [
            {"min_amount_minor": 3000, "amount_off_minor": 900},
            {"min_amount_minor": 9500, "amount_off_minor": 200},
        ],
    },
    {"kind": "fixed_price", "price_minor": 3500},
    {"kind": "bundle", "sku_quantities": {"a": 1, "b": 1}, "price_minor": 8000},
    {"kind": "buy_x_get_y", "buy_quantity": 1, "get_quantity": 1, "get_percent_bp": 3000},
    {"kind": "addon_price", "sku_id": "b", "price_minor": 4500},
]


def _taken(drawn: tuple[Any, ...]) -> bool:
    """Of a bundle or an add-on only the scope of everything makes a rule that a cart can meet."""
    effect, _, _, scope = drawn
    return not scope or effect["kind"] not in ("bundle", "addon_price")


TEMPLATES = st.lists(
    st.tuples(
        st.sampled_from(EFFECTS),
        st.sampled_from([None, "x", "y"]),
        st.sampled_from([None, 5000, 9000]),
        st.sampled_from([[], ["a"], ["b"]]),
    ).filter(_taken),
    max_size=5,
)


@settings(max_examples=120)
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


def test_two_coupons_of_a_template_that_is_good_for_one_use_count_once() -> None:
    """Both together would be the best, were both taken; after one of them the other two ask for too much."""
    once = template("once", off(1000), limits={"uses_per_buyer_max": 1})
    large = template("large", off(1500), condition={"min_amount_minor": 9500})
    coupons = [coupon("c1", "once"), coupon("c2", "once"), coupon("c3", "large")]
    result = priced(book(sku("a", 10_000), once, large), {"a": 1}, *coupons, auto_coupons=True, coupon_ids=[])
    assert (result.coupons, result.summary.payable_minor) == ({"c3": 1500}, 8500)


def test_many_coupons_that_do_not_lower_each_others_worth_are_all_taken() -> None:
    shop = book(sku("a", 100_000), *(template(str(n), off(100 + n)) for n in range(30)))
    coupons = [coupon(f"c{n}", str(n)) for n in range(30)]
    result = priced(shop, {"a": 1}, *coupons, auto_coupons=True, coupon_ids=[])
    assert result.summary.coupon_discount_minor == sum(range(100, 130))


def test_beyond_the_exact_search_the_set_is_no_worse_than_choosing_one_by_one() -> None:
    """Of twenty coupons each leaves the others less than they ask for; 2^20 sets are not looked through."""
    rules = [
        template(str(n), off(400 + n), condition={"min_amount_minor": 10_000 - 200 * n}) for n in range(20)
    ]
    coupons = [coupon(f"c{n:02}", str(n)) for n in range(20)]
    result = priced(book(sku("a", 10_000), *rules), {"a": 1}, *coupons, auto_coupons=True, coupon_ids=[])
    one_by_one = 0
    for n in reversed(range(20)):  # what saves most first
        if 10_000 - one_by_one >= 10_000 - 200 * n:
            one_by_one += 400 + n
    assert result.summary.coupon_discount_minor >= one_by_one > 0
    assert set(result.coupons) < {each.coupon_id for each in coupons}


GROUPED = st.lists(
    st.tuples(
        st.sampled_from(EFFECTS),
        st.sampled_from(["g", "g", "h", None]),
        st.sampled_from(["item", "shop"]),
        st.sampled_from([[], ["a"], ["b"]]),
    ).filter(_taken),
    max_size=4,
)


@settings(max_examples=80)
@given(GROUPED, TEMPLATES)
def test_choice_groups_and_coupons_are_best_together(
    offers: list[tuple[Any, ...]], drawn: list[tuple[Any, ...]]
) -> None:
    promotions = [
        promotion(f"p{number}", effect, choice_group=group, lane=lane, scope={"sku_ids": scope})
        for number, (effect, group, lane, scope) in enumerate(offers)
    ]
    templates = [
        template(str(number), effect, stack_category=category, scope={"sku_ids": scope})
        for number, (effect, category, _, scope) in enumerate(drawn[:3])
    ]
    coupons = [coupon(f"c{rule.rule_id}", rule.rule_id) for rule in templates]
    goods = [sku("a", 4000), sku("b", 6001)]
    grouped: dict[str, list[Rule]] = {}
    for rule in promotions:
        grouped.setdefault(rule.choice_group or rule.rule_id, []).append(rule)
    cheapest = min(
        priced(book(*goods, *winners, *templates), {"a": 1, "b": 1}, *chosen).summary.payable_minor
        for winners in product(*grouped.values())
        for size in range(len(coupons) + 1)
        for chosen in combinations(coupons, size)
    )
    shop = book(*goods, *promotions, *templates)
    automatic = priced(shop, {"a": 1, "b": 1}, *coupons, auto_coupons=True, coupon_ids=[])
    assert automatic.summary.payable_minor == cheapest


def _beside_another_promotion(more: int) -> tuple[PriceBook, BuyerCoupon]:
    """Of 100.00 one of a group takes 30.00 and leaves the coupon too little, the other takes 20.00."""
    shop = book(
        sku("a", 10_000),
        promotion("p", off(3000), choice_group="g", priority=2),
        promotion("q", off(2000), choice_group="g", priority=1),
        *(promotion(f"{n}{side}", off(1), choice_group=str(n)) for n in range(more) for side in "xy"),
        template("t", off(2500), condition={"min_amount_minor": 7500}),
    )
    return shop, coupon("c", "t")


def test_what_a_coupon_saves_is_beside_the_promotion_that_is_best_without_it() -> None:
    shop, mine = _beside_another_promotion(more=0)
    assert priced(shop, {"a": 1}).summary.payable_minor == 7000
    assert priced(shop, {"a": 1}, mine).summary.payable_minor == 5500
    choice = choose_coupons(cart({"a": 1}), shop, held(mine), NOW_MS)
    assert choice.usable == [UsableCoupon("c", "Name t", 1500, best=True)]
    assert choice.best_saves_minor == 1500


def test_among_many_choice_groups_auto_coupons_are_no_dearer_than_naming_them() -> None:
    shop, mine = _beside_another_promotion(more=3)
    named = priced(shop, {"a": 1}, mine)
    automatic = priced(shop, {"a": 1}, mine, auto_coupons=True, coupon_ids=[])
    assert (automatic.summary.payable_minor, automatic.summary.applied) == (5497, named.summary.applied)


def test_among_many_choice_groups_a_coupon_counts_that_another_of_its_category_keeps_off() -> None:
    """p is best without coupons, and beside both, of which the small one counts; q leaves enough."""
    shop = book(
        sku("a", 10_000),
        promotion("p", off(3_000), choice_group="g"),
        promotion("q", off(2_000), choice_group="g"),
        *(promotion(f"{n}{side}", off(1), choice_group=str(n)) for n in range(2) for side in "xy"),
        template("small", off(100), stack_category="x"),
        template("large", off(2_500), stack_category="x", condition={"min_amount_minor": 7_500}),
    )
    small, large = coupon("1", "small", valid_to_ms=NOW_MS + 5), coupon("2", "large")
    automatic = priced(shop, {"a": 1}, small, large, auto_coupons=True, coupon_ids=[])
    assert (automatic.coupons, automatic.summary.payable_minor) == ({"2": 2_500}, 5_498)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(EFFECTS), st.sampled_from("ghi"), st.sampled_from([[], ["a"]])).filter(
            lambda drawn: not drawn[2] or drawn[0]["kind"] not in ("bundle", "addon_price")
        ),
        min_size=6,
        max_size=9,
    ),
    TEMPLATES,
)
def test_with_more_combinations_than_are_searched_auto_coupons_are_never_dearer_than_none_one_or_all(
    offers: list[tuple[Any, ...]], drawn: list[tuple[Any, ...]]
) -> None:
    promotions = [
        promotion(f"p{number}", effect, choice_group=group, scope={"sku_ids": scope})
        for number, (effect, group, scope) in enumerate(offers)
    ]
    templates = [
        template(str(number), effect, stack_category=category, scope={"sku_ids": scope})
        for number, (effect, category, _, scope) in enumerate(drawn)
    ]
    coupons = [coupon(f"c{rule.rule_id}", rule.rule_id) for rule in templates]
    shop, both = book(sku("a", 4000), sku("b", 6001), *promotions, *templates), {"a": 1, "b": 1}
    automatic = priced(shop, both, *coupons, auto_coupons=True, coupon_ids=[]).summary.payable_minor
    for named in ([], coupons, *([each] for each in coupons)):
        assert automatic <= priced(shop, both, *named).summary.payable_minor


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
        UnusableCoupon("v", "Name v", "minimum_not_met", missing_minor=1, gains_minor=5),
        UnusableCoupon("w", "Name w", "minimum_not_met", missing_quantity=2, gains_minor=5),
    ]


def test_a_near_miss_says_what_it_would_gain_beside_the_promotions_that_apply() -> None:
    shop = book(
        sku("a", 1000),
        promotion("p", {"kind": "percent_off", "percent_bp": 2000}),
        template("half", {"kind": "percent_off", "percent_bp": 5000}, condition={"min_amount_minor": 900}),
        template("more", off(5_000), condition={"min_amount_minor": 801}),
    )
    coupons = [coupon("half", "half"), coupon("more", "more")]
    choice = choose_coupons(cart({"a": 1}), shop, held(*coupons), NOW_MS)
    assert choice.unusable == [
        UnusableCoupon("half", "Name half", "minimum_not_met", missing_minor=100, gains_minor=400),
        UnusableCoupon("more", "Name more", "minimum_not_met", missing_minor=1, gains_minor=800),
    ]
    result = priced(shop, {"a": 1}, *coupons, auto_coupons=True, coupon_ids=["half"])
    (rejected,) = [each for each in result.summary.rejected if each.kind == "coupon"]
    assert (rejected.missing_minor, rejected.gains_minor) == (100, 400)
