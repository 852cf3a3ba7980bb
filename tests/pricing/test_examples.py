"""Every worked example of docs/pricing.md comes out as the document says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer, GiftCard, Purse
from app.pricing.engine import price
from app.pricing.priced import PricedLine
from app.pricing.rules import NEVER_MS
from app.pricing.schemas import Choice
from app.refunds.schemas import RefundLine
from app.refunds.share import Line, share
from tests.pricing.build import (
    NOW_MS,
    book,
    cart,
    codes,
    coupon,
    freight,
    held,
    promotion,
    rates,
    sku,
    tax,
    template,
)
from tests.pricing.examples import EXAMPLES, Example, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "pricing.md"
START, END = "<!-- examples -->\n", "\n<!-- /examples -->"


def shop_of(example: Example) -> PriceBook:
    """Its SKUs of 250 g each, a cup to give away, and its rules."""
    home, rate = example.home or (example.currency, "1")
    kind = {"currency": home, "weight_grams": 250}
    skus = [
        sku(name, price, list_price_minor=listed, freight_template_id="f" if example.fee else None, **kind)
        for name, (_, price, listed) in example.cart.items()
    ]
    promotions = [promotion(f"p{n}", **document) for n, document in enumerate(example.rules)]
    templates = [template(f"t{n}", **document) for n, document in enumerate(example.coupons)]
    taxes = [tax(f"v{n}", **document) for n, document in enumerate(example.taxes)]
    fees = [freight("f", example.fee, currency=home)] if example.fee else []
    shop = book(*skus, sku("cup", 300, currency=home), *promotions, *templates, *taxes, *fees)
    if example.home is None:
        return shop
    return shop.with_fx_rates(*rates(home, (example.currency, rate, "2020-01-01")))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example(example: Example) -> None:
    coupons = [coupon(f"c{n}", f"t{n}") for n in range(len(example.coupons))]
    quantities = {name: quantity for name, (quantity, _, _) in example.cart.items()}
    cards = {
        f"g{n}": GiftCard(f"g{n}", example.currency, left, NEVER_MS) for n, left in enumerate(example.cards)
    }
    asked = cart(
        quantities,
        example.currency,
        coupon_ids=[each.coupon_id for each in coupons],
        auto_coupons=example.auto,
        gift_card_codes=list(cards),
        choices=[
            Choice(group, None if place is None else f"p{place}", sku_id)
            for group, place, sku_id in example.choices
        ],
    )
    buyer = Buyer(held(*coupons).coupons, Purse(gift_cards=cards), "CN-SH")
    result = price(asked, shop_of(example), buyer, NOW_MS)
    assert {line.sku.sku_id: line.summary.payable_minor for line in result.lines} == example.pays
    assert [code for _, code in codes(result)] == list(example.rejected)
    assert _refunded(result.lines, example) == [amount_minor for *_, amount_minor in example.refunds]


def _refunded(priced: Sequence[PricedLine], example: Example) -> list[int]:
    """What goes back for the units of each refund, the ones before it taken off."""
    lines = {
        line.sku.sku_id: Line(1, number, line.summary.quantity, line.summary.payable_minor)
        for number, line in enumerate(priced)
    }
    amounts = []
    for sku_id, units, _ in example.refunds:
        line = lines[sku_id]
        (part,) = share(list(lines.values()), [RefundLine(str(line.line_id), units)], None)
        left_minor = line.left_minor - part.amount_minor
        lines[sku_id] = replace(line, left_quantity=line.left_quantity - units, left_minor=left_minor)
        amounts.append(part.amount_minor)
    return amounts


def test_the_document_shows_these_examples() -> None:
    text = DOCUMENT.read_text()
    shown = text[text.index(START) + len(START) : text.index(END)]
    assert shown == table(), "copy tests/pricing/examples.py's table() between the marks"
