"""A quote keeps of each line what its summary tells."""

from __future__ import annotations

from app.pricing.quote import Quote
from tests.pricing.build import book, cart, coupon, freight, priced, promotion, sku, template

FLAT = {"basis": "quantity", "first": {"upto": 1, "fee_minor": 600}}


def test_a_quote_tells_of_each_line_what_lowered_it() -> None:
    rules = book(
        sku("a", 10_000, freight_template_id="t"),
        sku("b", 5_000, freight_template_id="t"),
        sku("cup", 300),
        freight("t", FLAT),
        promotion("a-off", {"kind": "percent_off", "percent_bp": 1_000}, scope={"sku_ids": ["a"]}),
        promotion("both-off", {"kind": "amount_off", "amount_minor": 900}, lane="platform"),
        promotion("cup-too", {"kind": "gift", "sku_id": "cup", "quantity": 1}, lane="item"),
        promotion("sent-free", {"kind": "free_freight"}, lane="platform"),
        template("t-5", {"kind": "amount_off", "amount_minor": 500}),
    )
    result = priced(rules, {"b": 2, "a": 1}, coupon("1", "t-5"), region="CN-44")
    quote = Quote.of("buyer-1", cart({"b": 2, "a": 1}), result)
    assert [quote.discounts(line) for line in quote.lines] == [
        line.summary.discounts for line in result.lines
    ]
    named = [[each.rule_id for each in quote.discounts(line)] for line in quote.lines]
    assert named == [["both-off", "1", "sent-free"], ["a-off", "both-off", "1", "sent-free"], ["cup-too"]]
    assert [line.is_gift for line in quote.lines] == [False, False, True]
    assert [line.payable_minor for line in quote.lines] == [
        line.summary.payable_minor for line in result.lines
    ]
