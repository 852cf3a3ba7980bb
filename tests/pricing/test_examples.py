"""Every worked example of docs/pricing.md comes out as the document says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pricing.build import book, codes, coupon, priced, promotion, sku, template
from tests.pricing.examples import EXAMPLES, Example, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "pricing.md"
START, END = "<!-- examples -->\n", "\n<!-- /examples -->"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example(example: Example) -> None:
    skus = [
        sku(name, price, list_price_minor=listed, currency=example.currency)
        for name, (_, price, listed) in example.cart.items()
    ]
    promotions = [promotion(f"p{n}", **document) for n, document in enumerate(example.rules)]
    templates = [template(f"t{n}", **document) for n, document in enumerate(example.coupons)]
    coupons = [coupon(f"c{n}", f"t{n}") for n in range(len(templates))]
    quantities = {name: quantity for name, (quantity, _, _) in example.cart.items()}
    shop = book(*skus, *promotions, *templates)
    result = priced(shop, quantities, *coupons, currency=example.currency)
    assert {line.sku.sku_id: line.summary.payable_minor for line in result.lines} == example.pays
    assert [code for _, code in codes(result)] == list(example.rejected)


def test_the_document_shows_these_examples() -> None:
    text = DOCUMENT.read_text()
    shown = text[text.index(START) + len(START) : text.index(END)]
    assert shown == table(), "copy tests/pricing/examples.py's table() between the marks"
