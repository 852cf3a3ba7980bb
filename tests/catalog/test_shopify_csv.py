"""The product CSV that Shopify exports: what each row becomes, and what is said about a bad one."""

import io
import tracemalloc
from collections.abc import Iterator

import pytest

from app.catalog.documents import PriceDocument, SkuDocument
from app.catalog.records import BadRow, ImportedItem, ImportedSku, UnreadableFile
from app.catalog.shopify_csv import Market, read_shopify_csv

CNY = Market(shop_id="7", currency="CNY", decimals=2)

# The export's own header, as it has been for years.
EXPORT = (
    "Handle,Title,Body (HTML),Vendor,Product Category,Type,Tags,Published,Option1 Name,Option1 Value,"
    "Option2 Name,Option2 Value,Option3 Name,Option3 Value,Variant SKU,Variant Grams,"
    "Variant Inventory Tracker,Variant Inventory Qty,Variant Inventory Policy,Variant Fulfillment Service,"
    "Variant Price,Variant Compare At Price,Variant Requires Shipping,Variant Taxable,Variant Barcode,"
    "Image Src,Image Position,Image Alt Text,Gift Card,SEO Title,SEO Description,Variant Image,"
    "Variant Weight Unit,Variant Tax Code,Cost per item,Status"
)
# The header of the newer template.
TEMPLATE = (
    "Title,URL handle,Description,Vendor,Product category,Type,Tags,Published on online store,Status,SKU,"
    "Barcode,Option1 name,Option1 value,Option1 Linked To,Price,Compare-at price,Cost per item,Charge tax,"
    "Inventory tracker,Inventory quantity,Weight value (grams),Weight unit for display,Requires shipping,"
    "Gift card"
)


def row(header: str, **cells: str) -> str:
    """A row under the header; a keyword stands for the column whose name has the same letters."""
    names = [name.casefold().replace(" ", "_").replace("-", "_") for name in header.split(",")]
    assert set(cells) <= set(names), set(cells) - set(names)
    return ",".join('"' + cells.get(name, "").replace('"', '""') + '"' for name in names)


def export(*rows: dict[str, str]) -> str:
    return "\r\n".join([EXPORT, *(row(EXPORT, **cells) for cells in rows)]) + "\r\n"


def read(text: str, market: Market = CNY) -> list[ImportedItem | BadRow]:
    return list(read_shopify_csv(io.StringIO(text, newline=""), market))


def sku(record: ImportedItem | BadRow) -> ImportedSku:
    assert isinstance(record, ImportedItem)
    assert len(record.skus) == 1
    return record.skus[0]


TEA = {"handle": "tea", "title": "Tea", "variant_price": "10.00"}
CUP = {"handle": "cup", "title": "Cup", "variant_price": "1"}


def test_variants_on_several_rows_become_one_item_that_inherits_the_first_rows_cells() -> None:
    records = read(
        export(
            {
                "handle": "tea", "title": "Green Tea", "type": "Tea",
                "product_category": "Food & Drink > Tea", "published": "true",
                "option1_name": "Size", "option1_value": "S", "option2_name": "Tin",
                "option2_value": "Red", "variant_sku": "T-S", "variant_grams": "250",
                "variant_inventory_qty": "12", "variant_price": "100.00",
                "variant_compare_at_price": "120.00", "status": "active",
            },
            {
                "handle": "tea", "option1_value": "L", "option2_value": "Blue", "variant_sku": "T-L",
                "variant_grams": "500.5", "variant_inventory_qty": "-3", "variant_price": "180",
            },
        )
    )  # fmt: skip
    small, large = {"CNY": PriceDocument(10000, 12000)}, {"CNY": PriceDocument(18000, 18000)}
    assert records == [
        ImportedItem(
            line=2,
            item_id="tea",
            shop_id="7",
            title="Green Tea",
            item_type="physical",
            category_ids=["tea", "food-drink"],
            on_sale=True,
            skus=[
                ImportedSku(
                    2,
                    SkuDocument("T-S", small, {"Size": "S", "Tin": "Red"}, 250),
                    12,
                ),
                ImportedSku(
                    3,
                    SkuDocument("T-L", large, {"Size": "L", "Tin": "Blue"}, 501),
                    0,
                ),
            ],
        )
    ]


def test_the_newer_templates_column_names_are_read_as_well() -> None:
    cells = {
        "title": "Mug", "url_handle": "mug", "status": "Active", "sku": "M1", "option1_name": "Title",
        "option1_value": "Default Title", "price": "8.5", "compare_at_price": "9", "inventory_quantity": "4",
        "weight_value_(grams)": "300", "requires_shipping": "TRUE",
    }  # fmt: skip
    assert read(f"{TEMPLATE}\n{row(TEMPLATE, **cells)}\n") == [
        ImportedItem(
            line=2,
            item_id="mug",
            shop_id="7",
            title="Mug",
            item_type="physical",
            category_ids=[],
            on_sale=True,
            skus=[ImportedSku(2, SkuDocument("M1", {"CNY": PriceDocument(850, 900)}, {}, 300), 4)],
        )
    ]


def test_a_file_with_a_byte_order_mark_and_quoted_newlines_keeps_its_line_numbers() -> None:
    text = export(
        TEA | {"body_(html)": "<p>one\r\ntwo\nthree</p>"},
        {"handle": "cup", "title": "Cup", "variant_price": "free"},
    )
    records = list(
        read_shopify_csv(io.TextIOWrapper(io.BytesIO(text.encode("utf-8-sig")), "utf-8-sig", newline=""), CNY)
    )
    assert [record.line for record in records] == [2, 5]
    assert records[1] == BadRow(5, "'free' is not an amount like 12.50")


def test_rows_that_bring_only_a_picture_are_passed_by() -> None:
    records = read(
        export(TEA, {"handle": "tea", "image_src": "https://example.com/2.jpg", "image_position": "2"})
    )
    assert len(records) == 1
    assert sku(records[0]).line == 2


def test_a_missing_sku_becomes_an_id_of_handle_and_options_the_same_at_every_reading() -> None:
    long = "an-endless-handle-" * 5
    text = export(
        TEA | {"option1_name": "Size", "option1_value": "大 L"},
        CUP | {"option1_name": "Title", "option1_value": "Default Title"},
        {"handle": long, "title": "Long", "variant_price": "1"},
        {"handle": "n", "title": "N", "variant_price": "1", "variant_sku": "'0042"},
    )  # fmt: skip
    ids = [sku(record).document.sku_id for record in read(text)]
    assert ids[0] == "tea~大 L"
    assert ids[1] == "cup"
    assert ids[2].startswith(long[:47] + "-")
    assert len(ids[2]) == 64
    assert ids[3] == "0042"
    assert [sku(record).document.sku_id for record in read(text)] == ids


@pytest.mark.parametrize(
    ("text", "market", "minor"),
    [
        ("0.29", CNY, 29),  # 0.29 * 100 is 28.999999999999996 in floats
        ("1299", CNY, 129900),
        ("10.000", CNY, 1000),
        ("5.", CNY, 500),
        ("1200", Market("7", "JPY", 0), 1200),
        ("1200.00", Market("7", "JPY", 0), 1200),
        ("1.234", Market("7", "KWD", 3), 1234),
    ],
)
def test_prices_are_read_digit_by_digit(text: str, market: Market, minor: int) -> None:
    assert sku(read(export(TEA | {"variant_price": text}), market)[0]).document.prices == {
        market.currency: PriceDocument(minor, minor)
    }


TOO_MUCH = "Expected `int` <= 1000000000000 - at `$.prices[...].price_minor`"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"variant_price": ""}, "the price is missing"),
        ({"variant_price": "-1"}, "'-1' is not an amount like 12.50"),
        ({"variant_price": "1,299.00"}, "'1,299.00' is not an amount like 12.50"),
        ({"variant_price": "1e3"}, "'1e3' is not an amount like 12.50"),
        ({"variant_price": "NaN"}, "'NaN' is not an amount like 12.50"),
        ({"variant_price": "٣"}, "'٣' is not an amount like 12.50"),
        ({"variant_price": "0.125"}, "'0.125' has more than 2 decimals"),
        ({"variant_price": "99999999999.00"}, TOO_MUCH),
        ({"variant_compare_at_price": "x"}, "'x' is not an amount like 12.50"),
        ({"variant_grams": "heavy"}, "'heavy' is not a weight in grams"),
        ({"variant_inventory_qty": "1.5"}, "'1.5' is not a whole number of units"),
        ({"variant_inventory_qty": "10000000000"}, "10000000000 units are more than 1000000000"),
        ({"variant_sku": "x" * 65}, "Expected `str` of length <= 64 - at `$.sku_id`"),
        ({"title": ""}, "product 'tea': the title is missing on its first row"),
        ({"status": "gone"}, "product 'tea': the status 'gone' is none of active, draft, archived, unlisted"),
        ({"published": "maybe"}, "product 'tea': published is 'maybe', neither TRUE nor FALSE"),
        ({"title": "Te\udcffa"}, "product 'tea': 'Te\\udcffa' is not UTF-8 text"),
        ({"handle": ""}, "the handle is missing"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_with_its_line_and_reason_and_its_neighbours_live(
    cells: dict[str, str], reason: str
) -> None:
    records = read(export(TEA | cells, CUP))
    assert records[0] == BadRow(2, reason)
    assert [sku(record).document.sku_id for record in records[1:]] == ["cup"]


def test_a_bad_variant_leaves_the_products_other_variants_standing() -> None:
    records = read(
        export(
            TEA | {"option1_name": "Size", "option1_value": "S", "variant_price": "?"},
            {"handle": "tea", "option1_value": "L", "variant_price": "2.00"},
        )
    )
    assert records[0] == BadRow(2, "'?' is not an amount like 12.50")
    assert sku(records[1]) == ImportedSku(
        3, SkuDocument("tea~L", {"CNY": PriceDocument(200, 200)}, {"Size": "L"}, 0), None
    )


def test_a_product_that_is_bad_names_each_of_its_rows() -> None:
    records = read(
        export(TEA | {"title": ""}, {"handle": "tea", "option1_value": "L", "variant_price": "2.00"})
    )
    assert records == [
        BadRow(2, "product 'tea': the title is missing on its first row"),
        BadRow(3, "product 'tea': the title is missing on its first row"),
    ]


def test_a_row_of_another_width_does_not_tear_its_product_apart() -> None:
    lines = export(TEA, {"handle": "tea", "option1_value": "L", "variant_price": "2.00"}).splitlines()
    records = read("\n".join([*lines[:2], "tea,half a row", *lines[2:]]))
    assert records[0] == BadRow(3, "has 2 cells where the header has 36")
    assert isinstance(records[1], ImportedItem)
    assert [part.line for part in records[1].skus] == [2, 4]


def test_a_quote_that_is_never_closed_is_named_where_it_begins() -> None:
    records = read(export(TEA) + 'cup,"Cup\n')
    assert isinstance(records[1], ImportedItem)
    assert records[0] == BadRow(3, "not readable as CSV: unexpected end of data")


@pytest.mark.parametrize(
    ("cells", "on_sale"),
    [
        ({"status": "active", "published": "TRUE"}, True),
        ({"status": "draft"}, False),
        ({"status": "archived"}, False),
        ({"status": "active", "published": "FALSE"}, False),
    ],
)
def test_drafts_and_unpublished_products_are_not_on_sale(cells: dict[str, str], on_sale: bool) -> None:
    record = read(export(TEA | cells))[0]
    assert isinstance(record, ImportedItem)
    assert record.on_sale is on_sale


@pytest.mark.parametrize(
    ("cells", "item_type"),
    [
        ({"gift_card": "true", "variant_requires_shipping": "true"}, "virtual"),
        ({"variant_requires_shipping": "false"}, "virtual"),
        ({"variant_requires_shipping": ""}, "physical"),
    ],
)
def test_what_is_not_shipped_is_virtual(cells: dict[str, str], item_type: str) -> None:
    record = read(export(TEA | cells))[0]
    assert isinstance(record, ImportedItem)
    assert record.item_type == item_type


def test_a_header_that_will_not_do_names_every_missing_column() -> None:
    with pytest.raises(UnreadableFile) as raised:
        read("Title,Option1 Name,Option1 Value,SKU,Location,Available\nTea,,,T1,Here,4\n")
    assert str(raised.value) == (
        "this is not a product CSV as Shopify exports it: the header lacks "
        "'Handle' or 'URL handle', 'Variant Price' or 'Price'"
    )
    with pytest.raises(UnreadableFile, match="the file is empty"):
        read("")
    with pytest.raises(UnreadableFile, match="the column 'Title' stands twice in the header"):
        read("Handle,Title,Title,Price\n")


def test_memory_does_not_grow_with_the_file() -> None:
    def lines(products: int) -> Iterator[str]:
        yield EXPORT + "\n"
        for number in range(products):
            cells = TEA | {"handle": f"tea-{number}", "body_(html)": "x" * 500}
            yield row(EXPORT, **cells) + "\n"

    def peak_bytes(products: int) -> int:
        tracemalloc.start()
        count = sum(1 for _ in read_shopify_csv(lines(products), CNY))  # type: ignore[arg-type]
        assert count == products
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(10)
    assert peak_bytes(1000) < peak_bytes(200) + 20_000
