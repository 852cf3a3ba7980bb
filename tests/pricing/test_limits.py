"""Budgets and uses in the engine: what is left of a limited rule decides whether it applies."""

from __future__ import annotations

from typing import Any

import pytest

from app.pricing.buyer import ANONYMOUS, Buyer
from app.pricing.engine import price
from app.pricing.limits import RuleUse, UseLimits
from app.pricing.priced import Priced
from tests.pricing.build import NOW_MS, book, cart, codes, coupon, discounts, held, promotion, sku, template

TEA = sku("a", 10_000)
TEN_OFF = {"kind": "amount_off", "amount_minor": 1000}
TAKEN = {
    ("promotion", "p", "uses", ""): 4,
    ("promotion", "p", "budget", "CNY"): 9_500,
    ("promotion", "p", "budget", "JPY"): 10_000,
}


def priced_with(limits: dict[str, int], buyer: Buyer = ANONYMOUS) -> Priced:
    price_book = book(TEA, promotion("p", TEN_OFF, limits=limits)).with_uses(TAKEN)
    return price(cart({"a": 1}), price_book, buyer, NOW_MS)


@pytest.mark.parametrize(
    ("limits", "given", "code"),
    [
        ({"uses_max": 5}, 1000, None),
        ({"uses_max": 4}, 0, "uses_spent"),
        ({"uses_max": 3}, 0, "uses_spent"),  # lowered below what is taken
        ({"budget_minor": 10_500}, 1000, None),
        ({"budget_minor": 10_499}, 0, "budget_spent"),  # what is left is not given in part
        ({"uses_per_buyer_max": 3}, 1000, None),
        ({"uses_per_buyer_max": 2}, 0, "uses_per_buyer_spent"),
        ({"uses_max": 5, "budget_minor": 10_000}, 0, "budget_spent"),
    ],
)
def test_a_rule_applies_while_enough_is_left_of_it(
    limits: dict[str, int], given: int, code: str | None
) -> None:
    result = priced_with(limits, buyer=Buyer(rule_uses={("promotion", "p"): 2}))
    assert discounts(result) == {"a": given}
    assert codes(result) == ([] if code is None else [("p", code)])


def test_an_order_takes_of_a_limited_rule_what_it_gave_and_nothing_of_one_that_gave_nothing() -> None:
    limits = {"uses_max": 5, "budget_minor": 90_000}
    expected = RuleUse("promotion", "p", UseLimits(90_000, 5, None), 1, 1000)
    assert list(priced_with(limits).uses) == [expected]
    assert list(priced_with({}).uses) == []
    unmet = promotion("p", TEN_OFF, limits=limits, condition={"min_amount_minor": 10_001})
    assert list(price(cart({"a": 1}), book(TEA, unmet), Buyer(), NOW_MS).uses) == []


def test_an_exhausted_rule_is_no_near_miss_and_leaves_its_choice_group_to_another() -> None:
    limits = {"uses_max": 4}
    unmet = promotion("p", TEN_OFF, limits=limits, condition={"min_amount_minor": 10_001})
    result = price(cart({"a": 1}), book(TEA, unmet).with_uses(TAKEN), Buyer(), NOW_MS)
    assert codes(result) == [("p", "uses_spent")]
    group: dict[str, Any] = {"choice_group": "g"}
    rules = promotion("p", TEN_OFF, limits=limits, **group), promotion("q", TEN_OFF, **group)
    result = price(cart({"a": 1}), book(TEA, *rules).with_uses(TAKEN), Buyer(), NOW_MS)
    assert [each.rule_id for each in result.summary.applied] == ["q"]


def test_coupons_of_one_template_share_its_limits() -> None:
    coupons = coupon("1", "t"), coupon("2", "t")
    for limits, expected in (
        ({"uses_max": 1}, (1, 1000)),
        ({"budget_minor": 1_999}, (1, 1000)),
        ({"budget_minor": 2_000, "uses_max": 2}, (2, 2000)),
    ):
        price_book = book(TEA, template("t", TEN_OFF, limits=limits))
        (use,) = price(cart({"a": 1}, coupon_ids=["1", "2"]), price_book, held(*coupons), NOW_MS).uses
        assert (use.kind, use.rule_id, use.uses, use.amount_minor) == ("coupon", "t", *expected)


def test_auto_coupons_take_another_coupon_where_a_budget_pays_for_less_only() -> None:
    rules = (
        promotion("p", {"kind": "percent_off", "percent_bp": 5000}, lane="item"),
        template("t", {"kind": "percent_off", "percent_bp": 2000}, limits={"budget_minor": 1_500}),
        template("u", TEN_OFF, condition={"min_amount_minor": 5_001}),
    )
    coupons = held(coupon("1", "t"), coupon("2", "u"))
    result = price(cart({"a": 1}, auto_coupons=True), book(TEA, *rules), coupons, NOW_MS)
    assert [each.rule_id for each in result.summary.applied] == ["p", "1"]
    twice = price(cart({"a": 2}, auto_coupons=True), book(TEA, *rules), coupons, NOW_MS)
    assert [each.rule_id for each in twice.summary.applied] == ["p", "2"]
