"""Points, red packets and gift cards in the engine: in their lanes, exact, and never more than there is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from app.points.documents import PointsRate, PointsRules
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer, GiftCard, Purse, RedPacket
from app.pricing.engine import price
from app.pricing.lanes import LANES
from app.pricing.priced import Priced
from tests.pricing.build import HOUR_MS, NOW_MS, book, cart, codes, discounts, promotion, sku

RULES = PointsRules({"CNY": PointsRate(earn_bp=100, minor_per_point=1)}, cap_bp=5_000)


def shop(*entries: Any, rules: PointsRules = RULES) -> PriceBook:
    return book(sku("a", 1_000), sku("b", 500), sku("c", 300, shop_id="8"), *entries).with_points(rules)


def card(balance_minor: int, card_id: str = "7001", **change: Any) -> GiftCard:
    return GiftCard(
        **{
            "card_id": card_id,
            "currency": "CNY",
            "balance_minor": balance_minor,
            "ends_at_ms": NOW_MS + HOUR_MS,
            **change,
        }
    )


def packet(amount_minor: int, **change: Any) -> RedPacket:
    usual = {"name": "Spring", "shop_id": None, "currency": "CNY", "min_amount_minor": 0}
    ends = {"status": "available", "ends_at_ms": NOW_MS + HOUR_MS}
    return RedPacket(**{"packet_id": "9", "amount_minor": amount_minor, **usual, **ends, **change})


def paid_with(
    price_book: PriceBook, quantities: dict[str, int], purse: Purse, *, points: int = 0, **fields: Any
) -> Priced:
    fields.setdefault("gift_card_codes", list(purse.gift_cards))
    if purse.red_packet is not None:
        fields.setdefault("red_packet_id", purse.red_packet.packet_id)
    return price(cart(quantities, points=points, **fields), price_book, Buyer(purse=purse), NOW_MS)


def kinds(result: Priced) -> list[tuple[str, str, int]]:
    return [(each.kind, each.rule_id, each.amount_minor) for each in result.summary.applied]


def test_all_three_are_taken_one_after_the_other_and_each_has_its_column() -> None:
    purse = Purse(400, {"CODE-ABCD": card(700)}, packet(250))
    result = paid_with(shop(), {"a": 1, "b": 1}, purse, points=400)
    summary = result.summary
    assert kinds(result) == [("points", "points", 400), ("red_packet", "9", 250), ("gift_card", "7001", 700)]
    assert (summary.points_discount_minor, summary.red_packet_minor, summary.gift_card_minor) == (
        400,
        250,
        700,
    )
    assert (summary.promotion_discount_minor, summary.coupon_discount_minor) == (0, 0)
    assert (summary.payable_minor, summary.points_used, summary.points_earned) == (150, 400, 1)
    assert summary.applied[2].name == "Gift card …ABCD"
    assert summary.rejected == []


def test_the_order_of_the_lanes_is_the_deployments() -> None:
    lanes = tuple(sorted(LANES, key=lambda lane: {"gift_card": 0, "points": 1}.get(lane, -1)))
    purse = Purse(1_000, {"g": card(1_000)})
    first = paid_with(shop(), {"a": 1, "b": 1}, purse, points=1_000)
    assert kinds(first) == [("points", "points", 750), ("gift_card", "7001", 750)]
    other = paid_with(replace(shop(), lanes=lanes), {"a": 1, "b": 1}, purse, points=1_000)
    assert kinds(other) == [("gift_card", "7001", 1_000), ("points", "points", 250)]


def test_each_is_split_over_what_is_left_of_the_lines_by_the_largest_remainder() -> None:
    half = promotion("p", {"kind": "percent_off", "percent_bp": 5_000}, scope={"sku_ids": ["a"]})
    result = paid_with(shop(half), {"a": 1, "b": 1}, Purse(gift_cards={"g": card(333)}))
    assert discounts(result) == {"a": 500 + 167, "b": 166}
    assert [line.gift_card_minor for line in result.lines] == [167, 166]
    assert [line.promotion_minor for line in result.lines] == [500, 0]


@pytest.mark.parametrize(
    ("asked", "held", "used", "code"),
    [
        (500, 500, 500, None),
        (600, 500, 500, "balance_too_low"),
        (900, 900, 750, "cap_reached"),
        (900, 800, 750, "cap_reached"),
        (5, 0, 0, "balance_too_low"),
    ],
)
def test_points_are_taken_up_to_what_there_is_and_up_to_the_cap(
    asked: int, held: int, used: int, code: str | None
) -> None:
    result = paid_with(shop(), {"a": 1, "b": 1}, Purse(held), points=asked)
    summary = result.summary
    assert (summary.points_used, summary.points_discount_minor) == (used, used)
    assert summary.payable_minor == 1_500 - used
    found = [(each.kind, each.code, each.missing_quantity) for each in summary.rejected]
    assert found == ([("points", code, asked - used)] if code else [])


def test_points_are_whole_and_no_line_goes_below_zero_for_the_last_of_them() -> None:
    rules = PointsRules({"CNY": PointsRate(minor_per_point=7)})
    result = paid_with(shop(rules=rules), {"c": 1}, Purse(100), points=100)
    assert (result.summary.points_used, result.summary.points_discount_minor) == (42, 294)
    assert result.summary.payable_minor == 6


def test_points_earned_are_for_what_is_paid_in_money() -> None:
    assert paid_with(shop(), {"a": 1}, Purse()).summary.points_earned == 10
    assert paid_with(shop(), {"a": 1}, Purse(gift_cards={"g": card(150)})).summary.points_earned == 8
    assert paid_with(book(sku("a", 1_000)), {"a": 1}, Purse()).summary.points_earned == 0


def test_cards_are_emptied_in_the_order_in_which_they_are_named() -> None:
    purse = Purse(gift_cards={"x": card(400, "1"), "y": card(400, "2"), "z": card(400, "3")})
    result = paid_with(shop(), {"b": 1}, purse, gift_card_codes=["y", "x", "y", "z"])
    assert kinds(result) == [("gift_card", "2", 400), ("gift_card", "1", 100)]
    assert codes(result) == [("3", "gave_nothing")]
    assert result.summary.payable_minor == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"balance_minor": 0}, "balance_too_low"),
        ({"ends_at_ms": NOW_MS}, "expired"),
        ({"currency": "USD"}, "currency_not_accepted"),
    ],
)
def test_a_card_that_cannot_pay_says_why(change: dict[str, Any], code: str) -> None:
    result = paid_with(shop(), {"a": 1}, Purse(gift_cards={"g": replace(card(100), **change)}))
    assert (codes(result), result.summary.payable_minor) == ([("g", code)], 1_000)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"ends_at_ms": NOW_MS}, "expired"),
        ({"status": "expired"}, "expired"),
        ({"status": "locked"}, "already_used"),
        ({"status": "used"}, "already_used"),
        ({"currency": "USD"}, "currency_not_accepted"),
        ({"shop_id": "8"}, "not_in_scope"),
        ({"min_amount_minor": 1_001}, "minimum_not_met"),
    ],
)
def test_a_packet_that_cannot_pay_says_why(change: dict[str, Any], code: str) -> None:
    result = paid_with(shop(), {"a": 1}, Purse(red_packet=replace(packet(100), **change)))
    assert (codes(result), result.summary.payable_minor) == ([("9", code)], 1_000)


def test_a_shops_packet_lowers_its_shops_lines_only_and_gives_once() -> None:
    purse = Purse(red_packet=packet(500, shop_id="8", min_amount_minor=300))
    result = paid_with(shop(), {"a": 1, "c": 1}, purse)
    assert discounts(result) == {"a": 0, "c": 300}
    assert result.summary.red_packet_minor == 300


def test_what_the_purse_does_not_hold_is_not_found() -> None:
    result = paid_with(shop(), {"a": 1}, Purse(), gift_card_codes=["g"], red_packet_id="r")
    assert codes(result) == [("r", "not_found"), ("g", "not_found")]


def test_without_rules_for_the_currency_no_points_are_taken() -> None:
    result = paid_with(shop(rules=PointsRules()), {"a": 1}, Purse(500), points=5)
    assert (codes(result), result.summary.payable_minor) == ([("points", "not_available")], 1_000)


amounts = st.integers(0, 3_000)


@given(
    quantities=st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 5), min_size=1),
    points=amounts,
    held=amounts,
    cap_bp=st.integers(1, 10_000),
    minor_per_point=st.integers(1, 13),
    balances=st.lists(amounts, max_size=3),
    gift=st.integers(1, 3_000),
    percent_bp=st.integers(1, 10_000),
)
def test_whatever_is_paid_with_the_parts_sum_exactly_and_nothing_goes_below_zero(
    quantities: dict[str, int],
    points: int,
    held: int,
    cap_bp: int,
    minor_per_point: int,
    balances: list[int],
    gift: int,
    percent_bp: int,
) -> None:
    rules = PointsRules({"CNY": PointsRate(minor_per_point=minor_per_point)}, cap_bp=cap_bp)
    off = promotion("p", {"kind": "percent_off", "percent_bp": percent_bp}, scope={"sku_ids": ["a"]})
    cards = {str(number): card(balance, str(number)) for number, balance in enumerate(balances)}
    purse = Purse(held, cards, packet(gift))
    result = paid_with(shop(off, rules=rules), quantities, purse, points=points)
    summary = result.summary
    assert summary.payable_minor >= 0
    assert summary.points_used <= min(points, held)
    assert summary.points_discount_minor == summary.points_used * minor_per_point
    assert summary.gift_card_minor <= sum(balances)
    assert summary.red_packet_minor <= gift
    for line in result.lines:
        found = line.summary
        assert found.payable_minor >= 0
        assert found.discount_minor == sum(each.amount_minor for each in found.discounts)
        apart = line.points_minor + line.red_packet_minor + line.gift_card_minor
        assert found.discount_minor == line.promotion_minor + line.coupon_minor + apart
        assert found.payable_minor == found.goods_minor - found.discount_minor
    assert summary.gift_card_minor == sum(line.gift_card_minor for line in result.lines)
    assert summary.points_discount_minor == sum(line.points_minor for line in result.lines)
    again = paid_with(shop(off, rules=rules), dict(reversed(quantities.items())), purse, points=points)
    assert discounts(again) == discounts(result)
