"""Who pays freight and tax: gift cards, and of points and red packets those that are meant to."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.points.documents import PointsRate, PointsRules
from app.pricing.buyer import Buyer, GiftCard, Purse, RedPacket
from app.pricing.engine import price
from app.pricing.lanes import LANES
from app.pricing.priced import Priced
from tests.pricing.build import HOUR_MS, NOW_MS, book, cart, codes, freight, promotion, sku, tax

FLAT = {"basis": "quantity", "first": {"upto": 9, "fee_minor": 300}}


def shop(*more: Any, points: PointsRules | None = None, price_minor: int = 1_000) -> Any:
    """Two lines of one parcel at 3.00, and 10 % tax on goods and freight."""
    goods = [sku(name, price_minor, freight_template_id="t") for name in "ab"]
    charged = book(*goods, freight("t", FLAT), tax("vat", 1_000, applies_to_freight=True), *more)
    return charged.with_points(points or PointsRules({"CNY": PointsRate(100, 1)}))


def card(balance_minor: int, card_id: str = "7001", **change: Any) -> GiftCard:
    return GiftCard(card_id, "CNY", balance_minor, NOW_MS + HOUR_MS, **change)


def packet(amount_minor: int, **change: Any) -> RedPacket:
    ends = {"status": "available", "ends_at_ms": NOW_MS + HOUR_MS}
    return RedPacket("9", "Spring", None, "CNY", amount_minor, 0, **ends, **change)


def paid(price_book: Any, purse: Purse, points: int = 0) -> Priced:
    asked = cart(
        {"a": 1, "b": 1},
        points=points,
        gift_card_codes=list(purse.gift_cards),
        red_packet_id=None if purse.red_packet is None else purse.red_packet.packet_id,
    )
    return price(asked, price_book, Buyer(purse=purse, region="CN-SH"), NOW_MS)


def given_by(result: Priced) -> list[tuple[str, int]]:
    return [(each.rule_id, each.amount_minor) for each in result.summary.applied]


def test_a_gift_card_pays_goods_first_and_then_freight_and_tax() -> None:
    """20.00, freight 3.00, tax 2.30."""
    for balance_minor, pays_minor in ((1_000, 1_530), (2_100, 430), (2_530, 0), (9_999, 0)):
        result = paid(shop(), Purse(gift_cards={"g": card(balance_minor)}))
        summary = result.summary
        taken_minor = 2_530 - pays_minor
        assert (summary.payable_minor, summary.gift_card_minor) == (pays_minor, taken_minor)
        assert (summary.freight_minor, summary.tax_minor) == (300, 230)
        assert given_by(result) == [("7001", taken_minor)]


def test_its_part_is_split_over_the_lines_by_what_is_due_of_each() -> None:
    result = paid(shop(), Purse(gift_cards={"g": card(2_101)}))
    lines = [(line.gift_card_minor, line.summary.payable_minor) for line in result.lines]
    assert lines == [(1_000 + 51, 214), (1_000 + 50, 215)]
    assert [line.summary.discount_minor for line in result.lines] == [1_051, 1_050]
    (of_shop,) = result.summary.shops
    assert (of_shop.discount_minor, of_shop.payable_minor) == (2_101, 429)


def test_several_cards_go_on_in_the_order_in_which_the_cart_names_them() -> None:
    cards = {"g": card(1_900), "h": card(200, "7002"), "i": card(500, "7003")}
    result = paid(shop(), Purse(gift_cards=cards))
    assert given_by(result) == [("7001", 1_900), ("7002", 200), ("7003", 430)]
    assert result.summary.payable_minor == 0


def test_a_card_finds_charges_where_the_goods_cost_nothing() -> None:
    free = promotion("p", {"kind": "percent_off", "percent_bp": 10_000})
    result = paid(shop(free), Purse(gift_cards={"g": card(400)}))
    assert given_by(result) == [("p", 2_000), ("7001", 330)]
    assert (result.summary.payable_minor, codes(result)) == (0, [])


def test_a_card_points_and_packets_for_goods_alone_leave_the_charges() -> None:
    purses = [
        Purse(gift_cards={"g": card(9_999, pays_charges=False)}),
        Purse(points=9_999),
        Purse(red_packet=packet(9_999)),
    ]
    for purse in purses:
        assert paid(shop(), purse, points=purse.points).summary.payable_minor == 530


def test_a_packet_that_may_pays_the_charges() -> None:
    result = paid(shop(), Purse(red_packet=packet(2_200, pays_charges=True)))
    assert (result.summary.red_packet_minor, result.summary.payable_minor) == (2_200, 330)


def test_points_that_may_pay_charges_pay_the_same_part_of_them() -> None:
    """Half of 20.00 and half of 5.30, in points worth 0.03 each."""
    rules = PointsRules({"CNY": PointsRate(0, 3)}, cap_bp=5_000, pays_charges=True)
    result = paid(shop(points=rules), Purse(points=9_999), points=9_999)
    summary = result.summary
    assert (summary.points_used, summary.points_discount_minor) == (333 + 88, 1_263)
    assert codes(result) == [("points", "cap_reached")]


def test_points_are_earned_for_the_money_that_goods_cost() -> None:
    """10.00 of goods and 2.65 of charges are paid in points; 1 % of the other 10.00 of goods is earned."""
    rules = PointsRules({"CNY": PointsRate(100, 1)}, cap_bp=5_000, pays_charges=True)
    summary = paid(shop(points=rules), Purse(points=9_999), points=9_999).summary
    assert (summary.payable_minor, summary.points_used, summary.points_earned) == (1_265, 1_265, 10)


def test_what_found_no_goods_to_pay_pays_charges_when_its_lane_comes() -> None:
    """A point is worth more than the goods; the card pays these, and of the charges what points leave."""
    rules = PointsRules({"CNY": PointsRate(0, 50)}, pays_charges=True)
    purse = Purse(9, {"g": card(9_999)})
    result = paid(shop(points=rules, price_minor=20), purse, points=9)
    assert (result.summary.freight_minor, result.summary.tax_minor) == (300, 34)
    assert sorted(given_by(result)) == [("7001", 40 + 34), ("points", 300)]


def test_what_a_lane_takes_first_it_takes_of_the_charges_too() -> None:
    lanes = (*[lane for lane in LANES if lane not in ("red_packet", "gift_card")], "gift_card", "red_packet")
    purse = Purse(gift_cards={"g": card(2_100)}, red_packet=packet(9_999, pays_charges=True))
    charged = shop()
    assert given_by(paid(charged, purse)) == [("9", 2_530)]
    assert given_by(paid(replace(charged, lanes=lanes), purse)) == [("7001", 2_100), ("9", 430)]


@settings(max_examples=150)
@given(
    cards=st.lists(st.tuples(st.integers(1, 1_500), st.booleans()), max_size=3),
    red=st.none() | st.tuples(st.integers(1, 2_600), st.booleans()),
    points=st.integers(0, 2_600),
    points_pay=st.booleans(),
    worth=st.integers(1, 7),
    price_minor=st.integers(1, 700),
)
def test_parts_sum_exactly_and_nothing_falls_below_zero(
    cards: list[tuple[int, bool]],
    red: tuple[int, bool] | None,
    points: int,
    points_pay: bool,
    worth: int,
    price_minor: int,
) -> None:
    rules = PointsRules({"CNY": PointsRate(100, worth)}, cap_bp=7_000, pays_charges=points_pay)
    held = {
        str(number): card(amount, f"700{number}", pays_charges=pays)
        for number, (amount, pays) in enumerate(cards)
    }
    purse = Purse(points, held, None if red is None else packet(red[0], pays_charges=red[1]))
    result = paid(shop(points=rules, price_minor=price_minor), purse, points=points)
    summary = result.summary
    off = sum(each.amount_minor for each in summary.applied)
    assert summary.payable_minor == summary.goods_minor - off + summary.freight_minor + summary.tax_minor
    assert off == summary.gift_card_minor + summary.red_packet_minor + summary.points_discount_minor
    assert summary.payable_minor == sum(line.summary.payable_minor for line in result.lines)
    for line in result.lines:
        assert line.summary.payable_minor >= 0
        assert line.summary.discount_minor == sum(each.amount_minor for each in line.summary.discounts)
        assert line.promotion_minor == 0
    for each in summary.applied:
        most = {"9": red[0] if red else 0, "points": points * worth}
        assert (
            each.amount_minor <= most.get(each.rule_id, 0)
            or each.amount_minor <= cards[int(each.rule_id[-1])][0]
        )
    if any(pays for _, pays in cards) and summary.payable_minor:  # what may pay has paid all that it could
        taken = {each.rule_id: each.amount_minor for each in summary.applied}
        assert all(taken.get(f"700{n}") == amount for n, (amount, pays) in enumerate(cards) if pays)
