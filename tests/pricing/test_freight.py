"""Freight by example: who is sent together, what that costs where, and which line pays how much of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.charges.documents import FreightFee, FreightTemplateDocument
from app.pricing.errors import CurrencyNotSold
from app.pricing.freight import fee_of, split_fee
from app.pricing.priced import Priced
from app.pricing.schemas import Discount
from tests.pricing.build import book, codes, coupon, freight, priced, promotion, sku, template

# 10.00 for the first kilogram, 2.00 for each further half
BY_WEIGHT: dict[str, Any] = {
    "basis": "weight",
    "first": {"upto": 1000, "fee_minor": 1000},
    "then": {"step": 500, "fee_minor": 200},
}
FLAT: dict[str, Any] = {"basis": "quantity", "first": {"upto": 1, "fee_minor": 10}}


def freights(result: Priced) -> dict[str, int]:
    return {line.sku.sku_id: line.summary.freight_minor for line in result.lines}


def sent(sku_id: str, price_minor: int = 100, template_id: str = "t", **fields: Any) -> Any:
    return sku(sku_id, price_minor, freight_template_id=template_id, **fields)


@pytest.mark.parametrize(
    ("grams", "fee_minor"), [(0, 1000), (1000, 1000), (1001, 1200), (1500, 1200), (1501, 1400), (4000, 2200)]
)
def test_a_begun_step_costs_like_a_full_one(grams: int, fee_minor: int) -> None:
    assert fee_of(msgspec.convert(BY_WEIGHT, FreightFee), grams) == fee_minor


def test_without_further_steps_the_first_fee_is_all() -> None:
    assert fee_of(msgspec.convert(FLAT, FreightFee), 9_999) == 10


def test_lines_under_one_template_are_one_parcel_and_share_its_fee_by_weight() -> None:
    shop = book(
        freight("t", BY_WEIGHT), sent("a", weight_grams=250), sent("b", weight_grams=300), sent("c", 5)
    )
    result = priced(shop, {"a": 3, "b": 3, "c": 1}, region="CN-SH")  # 1,650 g: 1000 + 2 × 200
    assert freights(result) == {"a": 636, "b": 764, "c": 0}
    summary = result.summary
    assert (summary.goods_minor, summary.freight_minor, summary.payable_minor) == (605, 1400, 2005)
    assert (summary.shops[0].freight_minor, summary.shops[0].payable_minor) == (1400, 2005)
    assert result.lines[0].summary.payable_minor == 300 + 636


def test_three_equal_lines_share_ten_by_the_smallest_sku_first_in_any_order_of_the_cart() -> None:
    shop = book(freight("t", FLAT), sent("a"), sent("b"), sent("c"))
    for order in ("abc", "cba", "bca"):
        assert freights(priced(shop, dict.fromkeys(order, 1), region="SG")) == {"a": 4, "b": 3, "c": 3}


def test_lines_that_nobody_has_weighed_share_the_first_fee_by_quantity() -> None:
    shop = book(freight("t", BY_WEIGHT), sent("a"), sent("b"))
    assert freights(priced(shop, {"a": 3, "b": 1}, region="CN")) == {"a": 750, "b": 250}


def test_the_items_template_goes_before_the_shops_and_each_is_a_parcel_of_its_own() -> None:
    heavy = freight("heavy", {**FLAT, "first": {"upto": 1, "fee_minor": 5000}})
    shop = book(freight("t", FLAT), heavy, sku("a", 100), sku("b", 100), sent("c", template_id="heavy"))
    shop.shops["7"] = msgspec.structs.replace(shop.shops["7"], freight_template_id="t")
    result = priced(shop, {"a": 1, "b": 1, "c": 1}, region="CN")
    assert freights(result) == {"a": 5, "b": 5, "c": 5000}


def test_two_shops_are_two_parcels() -> None:
    shop = book(
        freight("t", FLAT),
        freight("u", FLAT, shop_id="8"),
        sent("a"),
        sent("b", template_id="u", shop_id="8"),
    )
    result = priced(shop, {"a": 1, "b": 1}, region="CN")
    assert freights(result) == {"a": 10, "b": 10}
    assert [each.freight_minor for each in result.summary.shops] == [10, 10]


def test_only_physical_goods_are_sent() -> None:
    shop = book(freight("t", FLAT), sent("a"), sent("b", item_type="virtual"))
    assert freights(priced(shop, {"a": 1, "b": 5}, region="CN")) == {"a": 10, "b": 0}


def test_the_narrower_region_counts_then_the_country_then_the_default() -> None:
    def fee(fee_minor: int) -> dict[str, Any]:
        return {"basis": "quantity", "first": {"upto": 1, "fee_minor": fee_minor}}

    rules = [{"regions": ["CN"], **fee(2)}, {"regions": ["CN-SH", "CN-BJ"], **fee(1)}]
    shop = book(freight("t", fee(3), rules=rules), sent("a"))
    found = {region: freights(priced(shop, {"a": 1}, region=region))["a"] for region in REGIONS}
    assert found == {"CN-SH": 1, "CN-BJ": 1, "CN-XZ": 2, "CN": 2, "US-CA": 3, "SG": 3}


REGIONS = ("CN-SH", "CN-BJ", "CN-XZ", "CN", "US-CA", "SG")


def test_a_region_that_no_rule_names_is_not_served_where_there_is_no_default() -> None:
    template_ = freight("t", rules=[{"regions": ["CN"], **FLAT}])
    result = priced(book(template_, sent("a"), sku("b", 100)), {"a": 1, "b": 1}, region="SG")
    assert (result.unserved, result.summary.warnings) == (["a"], ["address_not_served"])
    assert result.summary.freight_minor == 0


def test_without_an_address_there_is_no_freight_yet() -> None:
    result = priced(book(freight("t", FLAT), sent("a")), {"a": 1})
    assert (result.summary.freight_minor, result.summary.warnings) == (0, ["freight_needs_address"])


def test_nothing_asks_for_an_address_where_nothing_is_charged_for_sending() -> None:
    assert priced(book(freight("t", FLAT), sku("a", 100)), {"a": 1}).summary.warnings == []


@pytest.mark.parametrize(
    ("limit", "quantity", "freight_minor"),
    [
        ({"free_above_minor": 300}, 3, 0),  # inclusive
        ({"free_above_minor": 301}, 3, 10),
        ({"free_from_quantity": 3}, 3, 0),
        ({"free_from_quantity": 4}, 3, 10),
        ({"free_above_minor": 9999, "free_from_quantity": 3}, 3, 0),  # one of them is enough
    ],
)
def test_a_parcel_is_free_from_a_limit_on(limit: dict[str, int], quantity: int, freight_minor: int) -> None:
    shop = book(freight("t", {**FLAT, **limit}), sent("a"))
    assert priced(shop, {"a": quantity}, region="CN").summary.freight_minor == freight_minor


def test_free_above_looks_at_what_the_goods_cost_after_promotions_and_coupons() -> None:
    shop = book(
        freight("t", {**FLAT, "free_above_minor": 300}),
        sent("a"),
        template("one-off", {"kind": "amount_off", "amount_minor": 1}),
    )
    with_coupon = priced(shop, {"a": 3}, coupon("7001", "one-off"), region="CN").summary
    assert (with_coupon.freight_minor, with_coupon.payable_minor) == (10, 300 - 1 + 10)
    assert priced(shop, {"a": 3}, region="CN").summary.payable_minor == 300


FREE = {"kind": "free_freight"}


def test_a_rule_frees_its_lines_part_of_the_freight_and_is_named_without_being_a_discount() -> None:
    shop = book(freight("t", FLAT), sent("a"), sent("b"), promotion("p", FREE, scope={"sku_ids": ["a"]}))
    result = priced(shop, {"a": 1, "b": 1}, region="CN")
    assert freights(result) == {"a": 0, "b": 5}
    freed = Discount("promotion", "p", "Name p", 0, 5)
    assert result.summary.applied == result.lines[0].summary.discounts == [freed]
    assert (result.summary.promotion_discount_minor, result.summary.payable_minor) == (0, 205)


def test_a_rule_frees_no_more_than_its_limit() -> None:
    free = promotion("p", FREE, limits={"max_discount_minor": 7})
    result = priced(book(freight("t", FLAT), sent("a"), sent("b"), free), {"a": 1, "b": 1}, region="CN")
    assert freights(result) == {"a": 1, "b": 2}
    assert result.summary.applied[0].freight_minor == 7


def test_a_coupon_that_frees_freight_is_spent_only_where_there_was_some() -> None:
    shop = book(freight("t", {**FLAT, "free_above_minor": 300}), sent("a"), template("free", FREE))
    held = coupon("7001", "free")
    spent = priced(shop, {"a": 1}, held, region="CN")
    assert (spent.coupons, spent.summary.payable_minor) == ({"7001": 0}, 100)
    kept = priced(shop, {"a": 3}, held, region="CN")
    assert (kept.coupons, codes(kept)) == ({}, [("7001", "gave_nothing")])
    unknown = priced(shop, {"a": 1}, held)  # it keeps its place until the freight is known
    assert (unknown.coupons, codes(unknown)) == ({"7001": 0}, [])


def test_freight_in_a_currency_without_a_rate_cannot_be_sold() -> None:
    shop = book(freight("t", FLAT), sent("a", currency="USD"))
    with pytest.raises(CurrencyNotSold) as refused:
        priced(shop, {"a": 1}, region="CN", currency="USD")
    assert refused.value.members == {"sku_ids": ["a"], "currency": "USD"}


def test_a_parcel_costs_no_more_than_any_price() -> None:
    fee = msgspec.convert({**BY_WEIGHT, "then": {"step": 1, "fee_minor": 10**9}}, FreightFee)
    assert split_fee(fee, [1], [10**13], 0, lambda minor: minor) == [10**12]


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"default": FLAT, "currency": "XYZ"},
        {"default": {**FLAT, "basis": "volume"}},
        {"default": {**FLAT, "first": {"upto": 0, "fee_minor": 1}}},
        {"default": {**FLAT, "color": "red"}},
        {"rules": [{"regions": [], **FLAT}]},
        {"rules": [{"regions": ["cn"], **FLAT}]},
        {"rules": [{"regions": ["CN"], **FLAT}, {"regions": ["CN"], **FLAT}]},
    ],
)
def test_a_template_that_is_wrong_or_serves_nowhere_is_refused(wrong: dict[str, Any]) -> None:
    document = {"shop_id": "7", "currency": "CNY", "name": "t", **wrong}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(document, FreightTemplateDocument)
