"""What a buyer chooses of a choice group is followed where the buyer is entitled to it, and else named."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from app.flash_sales.snapshot import FlashItem
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer
from app.pricing.engine import choose_coupons, price
from app.pricing.schemas import CartRequest, Choice
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
    priced,
    promotion,
    sku,
    template,
)

Q_ID, P_ID = "q", "p"
BOTH = {"a": 1, "b": 1}


def off(amount_minor: int, per: str = "order") -> dict[str, Any]:
    return {"kind": "amount_off", "amount_minor": amount_minor, "per": per}


def flash_item(currency: str = "CNY") -> FlashItem:
    return FlashItem(price_minor=5_000, currency=currency, quantity=9, per_buyer_max=None, pool_id=5)


def shop(*more: Any) -> Any:
    """Two lines at 100.00 each; of the group g the promotion q is the better one for the cart."""
    skus = [sku("a", 10_000), sku("b", 10_000)]
    return book(
        *skus,
        promotion(P_ID, off(1_000), choice_group="g"),
        promotion(Q_ID, off(1_500, "line"), choice_group="g"),
        *more,
    )


def test_without_a_choice_the_best_for_the_buyer_applies() -> None:
    assert discounts(priced(shop(), BOTH)) == {"a": 1_500, "b": 1_500}


def test_a_choice_for_the_whole_cart_is_followed_though_another_were_cheaper() -> None:
    result = priced(shop(), BOTH, choices=[Choice("g", P_ID)])
    assert discounts(result) == {"a": 500, "b": 500}
    assert codes(result) == []


def test_none_of_a_group_may_be_chosen() -> None:
    result = priced(shop(), BOTH, choices=[Choice("g", None)])
    assert discounts(result) == {"a": 0, "b": 0}
    assert result.summary.rejected == []


def test_each_line_may_have_its_own_choice() -> None:
    chosen = [Choice("g", P_ID, "a"), Choice("g", Q_ID, "b")]
    assert discounts(priced(shop(), BOTH, choices=chosen)) == {"a": 1_000, "b": 1_500}
    assert discounts(priced(shop(), BOTH, choices=[Choice("g", None, "a")])) == {"a": 0, "b": 1_500}


def test_a_line_keeps_its_choice_beside_that_of_the_whole_cart() -> None:
    chosen = [Choice("g", P_ID), Choice("g", Q_ID, "b")]
    assert discounts(priced(shop(), BOTH, choices=chosen)) == {"a": 1_000, "b": 1_500}


def test_lines_without_a_choice_go_to_the_best_for_the_buyer() -> None:
    """p on a alone, and on b what is best there; p's condition still looks at all that it acts on."""
    three = book(
        *[sku(name, 10_000) for name in "abc"],
        promotion(P_ID, off(6_000), choice_group="g", condition={"min_quantity": 3}),
        promotion(Q_ID, off(1_500, "line"), choice_group="g"),
    )
    everything = {"a": 1, "b": 1, "c": 1}
    # p for all three takes 60.00; were b and c to go to q, p alone on a would lack its minimum
    assert sum(discounts(priced(three, everything, choices=[Choice("g", P_ID, "a")])).values()) == 6_000
    assert discounts(priced(three, everything, choices=[Choice("g", Q_ID, "a")])) == {
        "a": 1_500,
        "b": 1_500,
        "c": 1_500,
    }


def test_the_rest_is_best_for_every_choice_of_a_line() -> None:
    """As trying by hand says: of what may be chosen for the other line, the cheapest."""
    rules = shop(promotion("r", {"kind": "percent_off", "percent_bp": 1_200}, choice_group="g"))
    for chosen in (P_ID, Q_ID, "r", None):
        mine = Choice("g", chosen, "a")
        result = priced(rules, BOTH, choices=[mine])
        others = [Choice("g", each, "b") for each in (P_ID, Q_ID, "r")]
        tried = [priced(rules, BOTH, choices=[mine, other]).summary.payable_minor for other in others]
        assert result.summary.payable_minor == min(tried)


@pytest.mark.parametrize(
    ("choice", "code"),
    [
        (Choice("g", "invented"), "promotion_not_found"),
        (Choice("h", P_ID), "not_in_choice_group"),
        (Choice("g", "soon"), "not_started"),
        (Choice("g", "over"), "expired"),
        (Choice("g", "yen"), "currency_not_accepted"),
        (Choice("g", "only-a", "b"), "not_in_scope"),
        (Choice("g", "elsewhere"), "not_in_scope"),
        (Choice("g", P_ID, "c"), "sku_not_in_cart"),
        (Choice("g", "gold"), "buyer_not_entitled"),
        (Choice("g", "app"), "channel_not_served"),
        (Choice("h", None), "not_in_scope"),
    ],
)
def test_what_the_buyer_is_not_entitled_to_is_named_and_never_believed(choice: Choice, code: str) -> None:
    group: dict[str, Any] = {"choice_group": "g"}
    all_off = {"kind": "percent_off", "percent_bp": 10_000}
    ids = {"only-a": {"sku_ids": ["a"]}, "elsewhere": {"sku_ids": ["z"]}}
    rules = shop(
        promotion("soon", all_off, **group, starts_at="2030-01-01T00:00:00Z"),
        promotion("over", all_off, **group, ends_at="2020-01-01T00:00:00Z"),
        promotion("yen", all_off, **group, condition={"currencies": ["JPY"]}),
        promotion("gold", all_off, **group, condition={"buyer_tags": ["gold"]}),
        promotion("app", all_off, **group, condition={"channels": ["app"]}),
        promotion("only-a", off(1), **group, scope=ids["only-a"]),
        promotion("elsewhere", all_off, **group, scope=ids["elsewhere"]),
    )
    result = priced(rules, BOTH, choices=[choice])
    assert discounts(result) == {"a": 1_500, "b": 1_500}
    (told,) = [each for each in result.summary.rejected if each.code == code]
    assert told.rule_id == (choice.promotion_id or choice.choice_group)


ADD_ON = {"kind": "addon_price", "sku_id": "b", "price_minor": 8_000}


@pytest.mark.parametrize("beside", [Choice("g", P_ID, "a"), Choice("g", P_ID), Choice("g", None, "a")])
def test_an_add_on_that_is_chosen_beside_goods_that_chose_another_says_why_it_gives_nothing(
    beside: Choice,
) -> None:
    rules = shop(promotion("add-on", ADD_ON, choice_group="g"))
    assert discounts(priced(rules, BOTH, choices=[Choice("g", "add-on", "b")])) == {"a": 0, "b": 2_000}
    result = priced(rules, BOTH, choices=[Choice("g", "add-on", "b"), beside])
    assert discounts(result) == {"a": 1_000 if beside.promotion_id else 0, "b": 0}
    assert codes(result) == [("add-on", "not_in_scope")]


def test_what_is_chosen_for_a_line_and_lowers_others_alone_says_why_it_gives_nothing() -> None:
    """Of b, for which nothing is chosen, the better rule takes the units."""
    half = {"kind": "buy_x_get_y", "buy_quantity": 1, "get_quantity": 1, "get_scope": {"sku_ids": ["b"]}}
    rules = book(
        *[sku(name, 10_000) for name in "abc"],
        promotion("small", half | {"get_percent_bp": 1_000}, choice_group="g", scope={"sku_ids": ["a", "c"]}),
        promotion("large", half | {"get_percent_bp": 5_000}, choice_group="g", scope={"sku_ids": ["a", "c"]}),
    )
    result = priced(rules, {"a": 1, "b": 1, "c": 1}, choices=[Choice("g", "small", "a")])
    assert discounts(result) == {"a": 0, "b": 5_000, "c": 0}
    assert codes(result) == [("small", "not_in_scope")]


def test_a_choice_that_an_exclusive_rule_keeps_off_says_why_it_gives_nothing() -> None:
    rules = shop(promotion("alone", off(100), exclusive=True, priority=9))
    result = priced(rules, BOTH, choices=[Choice("g", P_ID)])
    assert discounts(result) == {"a": 50, "b": 50}
    assert codes(result) == [(P_ID, "stack_conflict")]


def test_a_choice_that_gives_nothing_is_followed_and_says_why() -> None:
    rules = shop(promotion("big", off(5_000), choice_group="g", condition={"min_amount_minor": 30_000}))
    result = priced(rules, BOTH, choices=[Choice("g", "big")])
    assert discounts(result) == {"a": 0, "b": 0}
    (told,) = result.summary.rejected
    assert (told.rule_id, told.code, told.missing_minor) == ("big", "minimum_not_met", 10_000)


def test_what_is_for_gold_members_may_be_chosen_by_one() -> None:
    rules = shop(promotion("gold", off(1), choice_group="g", condition={"buyer_tags": ["gold"]}))
    buyer = Buyer(tags=frozenset({"gold"}))
    result = price(cart(BOTH, choices=[Choice("g", "gold")]), rules, buyer, NOW_MS)
    assert result.summary.payable_minor == 19_999


def test_coupons_are_chosen_beside_what_the_buyer_chose() -> None:
    """From 190.00 on: not under q, which leaves 170.00."""
    rules = shop(template("t", off(800), condition={"min_amount_minor": 19_000}))
    mine = coupon("c", "t")
    chosen = [Choice("g", P_ID)]
    found = choose_coupons(cart(BOTH, choices=chosen), rules, held(mine), NOW_MS)
    assert [(each.coupon_id, each.saves_minor) for each in found.usable] == [("c", 800)]
    assert (found.rejected, choose_coupons(cart(BOTH), rules, held(mine), NOW_MS).usable) == ([], [])
    invented = choose_coupons(cart(BOTH, choices=[Choice("g", "all-free")]), rules, held(mine), NOW_MS)
    assert invented.usable == []
    assert [(each.rule_id, each.code) for each in invented.rejected] == [("all-free", "promotion_not_found")]
    auto = priced(rules, BOTH, mine, coupon_ids=[], auto_coupons=True, choices=chosen)
    assert auto.summary.payable_minor == 20_000 - 1_000 - 800


def test_choices_mean_the_same_in_any_order() -> None:
    chosen = [Choice("g", P_ID), Choice("g", Q_ID, "b"), Choice("g", None, "a")]
    results = {
        priced(shop(), BOTH, choices=list(order)).summary.payable_minor for order in permutations(chosen)
    }
    assert results == {20_000 - 1_500}


def test_two_choices_for_one_line_are_refused() -> None:
    body = {
        "currency": "CNY",
        "lines": [{"sku_id": "a", "quantity": 1}],
        "choices": [{"choice_group": "g", "promotion_id": "p"}, {"choice_group": "g", "promotion_id": None}],
    }
    with pytest.raises(msgspec.ValidationError, match="one choice for each choice group and SKU"):
        msgspec.convert(body, CartRequest)


def test_a_line_names_the_activities_that_its_sku_is_in() -> None:
    sale = flash_sale("noon", {"a": flash_item(), "b": flash_item(currency="USD")})
    rules = shop(
        promotion("only-a", off(1), lane="item", scope={"sku_ids": ["a"]}),
        promotion("yen", off(1), condition={"currencies": ["JPY"]}),
        sale,
    )
    lines = priced(rules, BOTH).lines
    named = {
        line.sku.sku_id: [(on.kind, on.activity_id, on.choice_group) for on in line.summary.activities]
        for line in lines
    }
    both = [("promotion", P_ID, "g"), ("promotion", Q_ID, "g")]
    assert named == {
        "a": [("promotion", "only-a", None), *both, ("flash_sale", "noon", None)],
        "b": both,
    }


def test_activities_come_and_go_with_their_windows() -> None:
    ends_at = "2027-01-15T09:00:00Z"  # an hour after NOW_MS
    rules = book(sku("a", 100), promotion("p", off(1), starts_at="2027-01-15T07:30:00Z", ends_at=ends_at))

    def named(now_ms: int) -> list[str]:
        (line,) = price(cart({"a": 1}), rules, Buyer(), now_ms).lines
        return [each.activity_id for each in line.summary.activities]

    moments = [NOW_MS, NOW_MS + HOUR_MS - 1, NOW_MS + HOUR_MS, NOW_MS - HOUR_MS, NOW_MS]
    assert [named(moment) for moment in moments] == [["p"], ["p"], [], [], ["p"]]
    withdrawn = rules.with_promotions([], ["p"])
    (line,) = price(cart({"a": 1}), withdrawn, Buyer(), NOW_MS).lines
    assert line.summary.activities == []


def test_a_line_in_no_activity_says_nothing_of_them() -> None:
    (line,) = priced(book(sku("a", 100)), {"a": 1}).lines
    assert b"activities" not in msgspec.json.encode(line.summary)


def test_a_sale_that_opens_is_an_activity_at_once() -> None:
    before = book(sku("a", 100), promotion("p", off(1)))
    assert on(before, "CNY") == ["p"]
    after = before.with_flash_sales([flash_sale("noon", {"a": flash_item()})])
    assert on(after, "CNY") == ["p", "noon"]


def test_what_is_in_force_is_so_in_a_currency() -> None:
    in_cny = promotion("cny", off(1), condition={"currencies": ["CNY"]})
    in_usd = promotion("usd", off(1), condition={"currencies": ["USD"]})
    both = replace(sku("a", 100), prices={"CNY": (100, 100), "USD": (20, 20)})
    rules = book(both, in_cny, in_usd)
    assert [on(rules, "CNY"), on(rules, "USD"), on(rules, "CNY")] == [["cny"], ["usd"], ["cny"]]
    assert discounts(priced(rules, {"a": 1}, currency="USD")) == {"a": 1}


def on(rules: PriceBook, currency: str) -> list[str]:
    """What the SKU is in."""
    (line,) = price(cart({"a": 1}, currency), rules, Buyer(), NOW_MS).lines
    return [each.activity_id for each in line.summary.activities]
