"""Tax by example: which rule holds for a line, on top or within, rounded once a shop and rate."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.charges.documents import TaxRuleDocument
from app.pricing.priced import Priced
from app.pricing.tax import contained_tax
from tests.pricing.build import book, coupon, freight, priced, sku, tax, template


def taxes(result: Priced) -> dict[str, int]:
    return {line.sku.sku_id: line.summary.tax_minor for line in result.lines}


def test_tax_on_top_is_rounded_half_up_once_and_split_by_what_is_taxed() -> None:
    # 10 % of 15 is 1.5: 2, not three times 0.5
    shop = book(sku("a", 5), sku("b", 5), sku("c", 5), tax("vat", 1000))
    result = priced(shop, {"a": 1, "b": 1, "c": 1})
    assert taxes(result) == {"a": 1, "b": 1, "c": 0}
    summary = result.summary
    assert (summary.goods_minor, summary.tax_minor, summary.payable_minor) == (15, 2, 17)
    assert (summary.shops[0].tax_minor, summary.shops[0].payable_minor) == (2, 17)
    assert [line.payable_minor for line in summary.shops[0].lines] == [6, 6, 5]


@pytest.mark.parametrize(
    ("currency", "price_minor", "tax_minor"), [("JPY", 105, 11), ("KWD", 1234, 123), ("CNY", 995, 100)]
)
def test_it_is_rounded_in_the_currencys_own_minor_unit(
    currency: str, price_minor: int, tax_minor: int
) -> None:
    shop = book(sku("a", price_minor, currency=currency), tax("vat", 1000))
    assert priced(shop, {"a": 1}, currency=currency).summary.tax_minor == tax_minor


def test_each_shop_rounds_its_own() -> None:
    shop = book(sku("a", 5), sku("b", 5, shop_id="8"), tax("vat", 1000))
    assert taxes(priced(shop, {"a": 1, "b": 1})) == {"a": 1, "b": 1}


def test_included_tax_costs_nothing_more_and_is_told_for_the_invoice() -> None:
    shop = book(sku("a", 119), sku("b", 119), tax("vat", 1900, included=True))
    result = priced(shop, {"a": 2, "b": 1})
    assert (result.summary.tax_minor, result.summary.payable_minor) == (0, 357)
    assert [line.summary.tax_included_minor for line in result.lines] == [38, 19]
    assert (contained_tax(100, 2000), contained_tax(1, 1900), contained_tax(3, 2000)) == (17, 0, 1)


def test_tax_is_taken_of_what_is_left_after_promotions_and_coupons() -> None:
    shop = book(sku("a", 1000), tax("vat", 1000), template("t", {"kind": "amount_off", "amount_minor": 400}))
    summary = priced(shop, {"a": 1}, coupon("7001", "t")).summary
    assert (summary.coupon_discount_minor, summary.tax_minor, summary.payable_minor) == (400, 60, 660)


@pytest.mark.parametrize(("applies", "tax_minor"), [(True, 11), (False, 10)])
def test_freight_is_taxed_where_the_rule_says_so(applies: bool, tax_minor: int) -> None:
    fee = {"basis": "quantity", "first": {"upto": 1, "fee_minor": 10}}
    shop = book(
        sku("a", 100, freight_template_id="t"),
        freight("t", fee),
        tax("vat", 1000, applies_to_freight=applies),
    )
    summary = priced(shop, {"a": 1}, region="CN").summary
    assert (summary.freight_minor, summary.tax_minor, summary.payable_minor) == (
        10,
        tax_minor,
        110 + tax_minor,
    )


RULES = (
    tax("everywhere", 100),
    tax("books", 200, category_ids=["books"]),
    tax("germany", 300, regions=["DE"]),
    tax("german-books", 400, regions=["DE", "AT"], category_ids=["books"]),
    tax("bavaria", 500, regions=["DE-BY"]),
    tax("shop-8", 600, shop_id="8"),
)


@pytest.mark.parametrize(
    ("sku_id", "region", "rate_bp"),
    [
        ("tea", "FR", 100),
        ("tea", None, 100),
        ("book", "FR", 200),
        ("tea", "DE-BE", 300),
        ("book", "DE", 400),
        ("book", "AT-9", 400),
        ("tea", "AT-9", 100),
        ("book", "DE-BY", 500),  # the narrower region goes before the category
        ("other", "FR", 600),
        ("other", "DE", 300),
    ],
)
def test_one_rule_holds_the_narrowest_region_then_its_category_then_its_shop(
    sku_id: str, region: str | None, rate_bp: int
) -> None:
    skus = (
        sku("tea", 10_000),
        sku("book", 10_000, category_ids=("books",)),
        sku("other", 10_000, shop_id="8"),
    )
    assert priced(book(*skus, *RULES), {sku_id: 1}, region=region).summary.tax_minor == rate_bp


def test_a_rate_of_zero_exempts() -> None:
    shop = book(
        sku("a", 100),
        sku("b", 100, category_ids=("books",)),
        tax("v", 1000),
        tax("z", 0, category_ids=["books"]),
    )
    assert taxes(priced(shop, {"a": 1, "b": 1})) == {"a": 10, "b": 0}


def test_without_an_address_rules_of_regions_do_not_hold_yet_and_the_summary_says_so() -> None:
    shop = book(sku("a", 100), sku("b", 100, item_type="virtual"), tax("de", 1900, regions=["DE"]))
    assert priced(shop, {"a": 1}).summary.warnings == ["tax_needs_address"]
    assert priced(shop, {"b": 1}).summary.warnings == []  # a virtual item goes nowhere
    assert priced(shop, {"a": 1}, region="DE-BE").summary.warnings == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate_bp": 10_001},
        {"rate_bp": 1, "regions": ["DE", "DE"]},
        {"rate_bp": 1, "regions": ["De"]},
        {"rate_bp": 1, "address_required": True},
    ],
)
def test_a_rule_that_is_wrong_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"name": "vat", **wrong}, TaxRuleDocument)
