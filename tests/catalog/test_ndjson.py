"""NDJSON: one document a line; what is wrong with a line is said with its number."""

import io

from app.catalog.documents import PriceDocument, ShopDocument, SkuDocument
from app.catalog.ndjson import LINE_BYTES_MAX, read_ndjson
from app.catalog.records import BadRow, ImportedItem, ImportedShop, ImportedSku, Record

TEA = (
    b'{"item_id": "tea", "title": "Tea", "category_ids": ["tea"], "skus": [{"sku_id": "1001", '
    b'"attributes": {"size": "L"}, "weight_grams": 250, "on_hand": 9, '
    b'"prices": {"CNY": {"price_minor": 10000, "list_price_minor": 12000}, "USD": {"price_minor": 1500}}}]}'
)


def read(text: bytes) -> list[Record]:
    return list(read_ndjson(io.BytesIO(text), shop_id="7"))


def test_an_item_takes_the_callers_shop_unless_it_names_its_own() -> None:
    own = TEA.replace(b'"title"', b'"shop_id": "8", "title"')
    records = read(b"\xef\xbb\xbf" + TEA + b"\r\n\n" + own)
    prices = {"CNY": PriceDocument(10000, 12000), "USD": PriceDocument(1500, None)}
    assert records == [
        ImportedItem(
            line=line,
            item_id="tea",
            shop_id=shop_id,
            title="Tea",
            item_type="physical",
            category_ids=["tea"],
            on_sale=True,
            skus=[ImportedSku(line, SkuDocument("1001", prices, {"size": "L"}, 250), 9)],
        )
        for line, shop_id in [(1, "7"), (3, "8")]
    ]


def test_a_shop_may_come_along() -> None:
    assert read(b'{ "shop": {"shop_id": "9", "name": "Lan\'s Tea", "currency": "CNY"}}\n') == [
        ImportedShop(1, "9", ShopDocument("Lan's Tea", "CNY"))
    ]


def test_bad_lines_are_named_and_the_rest_is_read() -> None:
    records = read(
        b"\n".join(
            [
                b"{not json",
                TEA.replace(b"10000", b"1e40"),
                TEA.replace(b"10000", b"12001"),
                TEA.replace(b'"title"', b'"color": "red", "title"'),
                TEA.replace(b"Tea", b"T\xff"),
                b"[" * 100_000,
                b'"' + b"x" * LINE_BYTES_MAX + b'"',
                b'{"shop": {"shop_id": "9"}}',
                b'{"shop": {"shop_id": "9", "name": "Nine", "currency": "XYZ"}}',
                TEA.replace(b"Tea", b"Te\\u0000a"),
                TEA,
            ]
        )
    )
    assert [record.line for record in records] == list(range(1, 12))
    assert isinstance(records.pop(), ImportedItem)
    reasons = [record.reason for record in records if isinstance(record, BadRow)]
    assert reasons[1].endswith("at `$.skus[0].prices[...].price_minor`")
    assert reasons[2] == "the list price is below the price - at `$.skus[0].prices[...]`"
    assert reasons[3] == "Object contains unknown field `color`"
    assert reasons[6] == f"longer than {LINE_BYTES_MAX} bytes"
    assert reasons[7] == "Object missing required field `name`"
    assert reasons[8] == "XYZ is not a currency of ISO 4217"
    assert reasons[9].endswith("at `$.title`")
    assert len(reasons) == 10
