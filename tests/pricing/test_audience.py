"""For whom a rule is: regions, channels, tags, first orders, each alone and for coupons too."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from app.pricing.audience import FIRST_ORDER_USE
from app.pricing.buyer import ANONYMOUS, Buyer
from app.pricing.engine import choose_coupons
from tests.pricing.build import (
    NOW_MS,
    book,
    cart,
    codes,
    coupon,
    held,
    price,
    promotion,
    sku,
    template,
)

OFF: dict[str, Any] = {"kind": "amount_off", "amount_minor": 10}

CASES = [
    ({"regions": ["CN"]}, Buyer(region="CN-SH"), "region_not_served"),
    ({"regions": ["CN-SH", "SG"]}, Buyer(region="SG"), "region_not_served"),
    ({"channels": ["ios", "web"]}, Buyer(channel="ios"), "channel_not_served"),
    ({"buyer_tags": ["gold", "staff"]}, Buyer(tags=frozenset({"gold", "new"})), "buyer_not_entitled"),
    ({"first_order": True}, Buyer(is_first_order=True), "not_first_order"),
]
OTHERS = Buyer(region="CN-BJ", channel="android", tags=frozenset({"silver"}), is_first_order=False)


@pytest.mark.parametrize(("condition", "fitting", "code"), CASES)
def test_a_rule_is_for_those_who_fit_its_condition(
    condition: dict[str, Any], fitting: Buyer, code: str
) -> None:
    shop = book(
        sku("a", 100), promotion("p", OFF, condition=condition), template("t", OFF, condition=condition)
    )
    coupons = held(coupon("1", "t")).coupons
    both = cart({"a": 1}, coupon_ids=["1"])
    result = price(both, shop, replace(fitting, coupons=coupons), NOW_MS)
    assert (result.summary.payable_minor, codes(result)) == (80, [])
    if condition == {"regions": ["CN"]}:
        return  # the others are there, too
    for buyer in (OTHERS, ANONYMOUS):
        result = price(both, shop, replace(buyer, coupons=coupons), NOW_MS)
        assert (result.summary.payable_minor, result.coupons) == (100, {})
        # what a buyer can do something about is told of promotions; of a coupon always
        told = [("p", code)] if code in ("region_not_served", "channel_not_served") else []
        assert codes(result) == [*told, ("1", code)]
        choice = choose_coupons(cart({"a": 1}), shop, replace(buyer, coupons=coupons), NOW_MS)
        assert [each.code for each in choice.unusable] == [code]


def test_a_region_that_is_not_known_yet_is_none() -> None:
    shop = book(sku("a", 100), promotion("p", OFF, condition={"regions": ["CN"]}))
    assert codes(price(cart({"a": 1}), shop, ANONYMOUS, NOW_MS)) == [("p", "region_not_served")]


def test_a_rule_that_is_not_for_the_buyer_leaves_its_choice_group_to_another() -> None:
    gold = promotion("gold", OFF, choice_group="g", condition={"buyer_tags": ["gold"]})
    shop = book(sku("a", 100), gold, promotion("all", OFF | {"amount_minor": 5}, choice_group="g"))
    for buyer, payable_minor in ((Buyer(tags=frozenset({"gold"})), 90), (ANONYMOUS, 95)):
        assert price(cart({"a": 1}), shop, buyer, NOW_MS).summary.payable_minor == payable_minor


@pytest.mark.parametrize(
    "effect", [OFF, {"kind": "gift", "sku_id": "a"}, {"kind": "free_freight"}], ids=["off", "gift", "freight"]
)
def test_a_first_order_is_used_once_by_an_order_that_got_something_for_it(effect: dict[str, Any]) -> None:
    condition = {"first_order": True}
    rules = [promotion(each, effect, condition=condition) for each in ("p", "q")]
    shop = book(sku("a", 100), *rules)
    first = price(cart({"a": 1}), shop, Buyer(is_first_order=True), NOW_MS)
    # there is no freight that could be freed
    assert first.uses == ([] if effect["kind"] == "free_freight" else [FIRST_ORDER_USE])
    assert price(cart({"a": 1}), shop, ANONYMOUS, NOW_MS).uses == []
