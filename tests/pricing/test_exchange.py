"""Currencies by example: price lists first, else a dated rate, exact in the other currency's decimals."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.charges.documents import FxRatesDocument
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer
from app.pricing.errors import CurrencyNotSold
from tests.pricing.build import (
    NOW_MS,
    Rule,
    Sku,
    book,
    cart,
    codes,
    coupon,
    discounts,
    freight,
    price,
    priced,
    promotion,
    rates,
    sku,
    tax,
    template,
)

NEW_YEAR = "2026-01-01"
CNY = rates("CNY", ("USD", "0.1389", NEW_YEAR), ("JPY", "21.37", NEW_YEAR), ("KWD", "0.0425", NEW_YEAR))
TEN_PERCENT = {"kind": "percent_off", "percent_bp": 1000}
TWO_OFF = {"kind": "amount_off", "amount_minor": 200}


def converting(*entries: Sku | Rule, given: Any = CNY) -> PriceBook:
    return book(*entries).with_fx_rates(*given)


@pytest.mark.parametrize(
    ("base", "price_minor", "currency", "rate", "converted_minor"),
    [
        ("CNY", 9_999, "USD", "0.1389", 1_389),  # 13.888611
        ("CNY", 9_999, "JPY", "21.37", 2_137),  # 2136.7863 yen, which have no decimals
        ("CNY", 9_999, "KWD", "0.0425", 4_250),  # 4.2495750 dinars, which have three
        ("JPY", 105, "CNY", "0.0468", 491),  # 4.914
        ("JPY", 1, "KWD", "0.002", 2),
        ("KWD", 1_234, "JPY", "501.5", 619),  # 618.851
        ("CNY", 50, "JPY", "1", 1),  # half a yen is one
        ("CNY", 49, "JPY", "1", 1),  # and less than half is not given away
        ("CNY", 0, "JPY", "21.37", 0),
        ("CLF", 10_000, "CNY", "290.123456789012", 29_012),
    ],
)
def test_a_price_is_converted_exactly_and_rounded_half_up_to_the_currencys_own_decimals(
    base: str, price_minor: int, currency: str, rate: str, converted_minor: int
) -> None:
    given = rates(base, (currency, rate, NEW_YEAR))
    shop = converting(sku("a", price_minor, currency=base), given=given)
    line = priced(shop, {"a": 3}, currency=currency).lines[0].summary
    assert (line.unit_price_minor, line.goods_minor) == (converted_minor, 3 * converted_minor)


def test_the_list_price_is_converted_too_and_the_shop_says_with_which_rate() -> None:
    shop = converting(sku("a", 1000, list_price_minor=2000), sku("b", 1, shop_id="8", currency="USD"))
    result = priced(shop, {"a": 1, "b": 1}, currency="USD")
    assert result.lines[0].summary.list_price_minor == 278
    first, second = result.summary.shops
    used = [(each.base, each.currency, each.rate, each.valid_from.isoformat()) for each in first.fx_rates]
    assert used == [("CNY", "USD", "0.1389", "2026-01-01T00:00:00+00:00")]
    assert second.fx_rates == []


def test_a_member_price_is_converted_as_the_price_is() -> None:
    shop = converting(sku("a", 1000, member_prices={"gold": 500}), sku("b", 900, member_prices={"gold": 800}))
    gold = Buyer(tags=frozenset({"gold"}))
    lines = price(cart({"a": 1, "b": 2}, currency="USD"), shop, gold, NOW_MS).lines
    assert [line.summary.unit_price_minor for line in lines] == [69, 111]  # 69.45 and 111.12


def test_a_price_list_goes_before_any_rate() -> None:
    both = msgspec.structs.replace(sku("a", 1000), prices={"CNY": (1000, 1000), "USD": (199, 199)})
    summary = priced(converting(both), {"a": 1}, currency="USD").summary
    assert (summary.goods_minor, summary.shops[0].fx_rates) == (199, [])


def test_the_newest_rate_that_has_begun_is_valid() -> None:
    dated = ("2026-01-01", "2027-01-01", "2027-02-01")  # now is 15 January 2027
    given = rates("CNY", *[("USD", f"0.{number}", day) for number, day in enumerate(dated, 1)])
    assert priced(converting(sku("a", 100), given=given), {"a": 1}, currency="USD").summary.goods_minor == 20


@pytest.mark.parametrize(
    ("given", "currency"),
    [
        (rates("CNY", ("USD", "0.1", "2030-01-01")), "USD"),  # not yet
        (rates("USD", ("CNY", "7", NEW_YEAR)), "USD"),  # not turned around
        (rates("CNY", ("USD", "0.1", NEW_YEAR)), "EUR"),
        (rates("CNY", ("USD", "999999999", NEW_YEAR)), "USD"),  # beyond what a price may be
    ],
)
def test_without_a_rate_it_is_not_sold_in_that_currency(given: Any, currency: str) -> None:
    shop = converting(sku("a", 2_000), sku("b", 10**6), given=given)
    with pytest.raises(CurrencyNotSold) as refused:
        priced(shop, {"a": 1, "b": 1}, currency=currency)
    assert refused.value.members["currency"] == currency
    assert "b" in refused.value.members["sku_ids"]


def test_a_rule_with_an_amount_and_no_currency_keeps_to_its_shops_own() -> None:
    entries = (
        sku("a", 10_000),
        promotion("percent", TEN_PERCENT),
        promotion("amount", TWO_OFF),
        promotion("minimum", TEN_PERCENT, condition={"min_amount_minor": 1}),
        promotion("ceiling", TEN_PERCENT, limits={"max_discount_minor": 10}),
        promotion("steps", {"kind": "tiers", "tiers": [{"min_quantity": 1, "amount_off_minor": 5}]}),
        promotion("dollars", TWO_OFF, condition={"currencies": ["USD", "CNY"]}),
        template("ten", TWO_OFF),
    )
    abroad = priced(converting(*entries), {"a": 1}, coupon("7001", "ten"), currency="USD")
    assert [each.rule_id for each in abroad.summary.applied] == ["dollars", "percent"]
    assert discounts(abroad) == {"a": 200 + 119}  # 10 % of 13.89 less 2.00
    assert codes(abroad) == [("7001", "currency_not_accepted")]
    at_home = priced(converting(*entries), {"a": 1}, coupon("7001", "ten"))
    assert len(at_home.summary.applied) == 7


def test_of_two_shops_a_platforms_amount_lowers_the_one_that_sells_in_the_carts_currency() -> None:
    shop = converting(sku("a", 10_000), sku("b", 5_000, shop_id="8", currency="USD"), promotion("p", TWO_OFF))
    assert discounts(priced(shop, {"a": 1, "b": 1}, currency="USD")) == {"a": 0, "b": 200}


def test_freight_is_converted_once_and_so_is_what_makes_it_free() -> None:
    fee = {"basis": "quantity", "first": {"upto": 1, "fee_minor": 1000}, "free_above_minor": 20_000}
    entries = [freight("t", fee), sku("a", 10_000, freight_template_id="t"), tax("vat", 1000)]
    shop = book(*entries).with_fx_rates(*CNY)
    one = priced(shop, {"a": 1}, region="US-CA", currency="USD").summary
    assert (one.goods_minor, one.freight_minor, one.tax_minor) == (1_389, 139, 139)
    assert priced(shop, {"a": 2}, region="US-CA", currency="USD").summary.freight_minor == 0


RATE = {"currency": "USD", "rate": "0.1", "valid_from": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    "rates_",
    [
        [RATE, RATE],
        [RATE | {"currency": "CNY"}],
        [RATE | {"currency": "XYZ"}],
        [RATE | {"valid_from": "2026-01-01T00:00:00"}],
        *([RATE | {"rate": rate}] for rate in ("0", "0.000", "-1", "1e5", ".5", "1.", "NaN", "1234567890")),
    ],
)
def test_rates_that_are_wrong_are_refused(rates_: list[dict[str, str]]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"base": "CNY", "rates": rates_}, FxRatesDocument)


def test_an_addons_price_is_not_taken_for_one_of_another_currency() -> None:
    rule = promotion("p", {"kind": "addon_price", "sku_id": "a", "price_minor": 5})
    shop = converting(sku("a", 10_000), sku("b", 900, shop_id="8", currency="USD"), rule)
    assert discounts(priced(shop, {"a": 1, "b": 1}, currency="USD")) == {"a": 0, "b": 0}
