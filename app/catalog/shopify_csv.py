"""Reads the product CSV that Shopify exports, one product at a time.

Enters an open text file, leaves ImportedItem and BadRow records. The rows of a product follow each
other and share a Handle; product cells (title, type, status, option names) stand on its first row
and are inherited; rows without price, SKU and option value bring only a picture and are passed by.
A missing SKU becomes an id made of handle and option values, the same at every import.
"""

import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import msgspec

from app.catalog.amounts import amount_minor, grams, units
from app.catalog.documents import SKUS_PER_ITEM_MAX, ItemType, SkuDocument
from app.catalog.records import BadRow, ImportedItem, ImportedSku, UnreadableFile
from app.catalog.shopify_columns import Columns, find_columns
from app.lib.bounds import ON_HAND_MAX

if TYPE_CHECKING:
    from _csv import Reader

ID_CHARACTERS_MAX = 64
# Descriptions of half a megabyte exist (pictures inside the HTML); a quote that is never closed
# must not read the rest of the file into one cell.
CELL_CHARACTERS_MAX = 1 << 20
# Pictures come one a row, 250 a product at most; the rows of one product are held together.
ROWS_PER_ITEM_MAX = SKUS_PER_ITEM_MAX + 250

ON_SALE = {"": True, "active": True, "unlisted": True, "draft": False, "archived": False}


@dataclass(frozen=True)
class Row:
    """One row of the file and the physical line it begins on."""

    line: int
    handle: str
    cells: list[str]


@dataclass(frozen=True)
class Market:
    """What the file does not say: whose products these are, and what its amounts mean."""

    shop_id: str
    currency: str
    decimals: int


def read_shopify_csv(stream: TextIO, market: Market) -> Iterator[ImportedItem | BadRow]:
    """`stream` is opened with `newline=""`. Raises UnreadableFile when the header will not do."""
    csv.field_size_limit(CELL_CHARACTERS_MAX)
    reader = csv.reader(stream, strict=True)
    try:
        columns = find_columns(next(reader))
    except StopIteration:
        raise UnreadableFile("the file is empty") from None
    except csv.Error as error:
        raise UnreadableFile(f"the header cannot be read: {error}") from None
    for product in _products(_rows(reader, columns)):
        if isinstance(product, BadRow):
            yield product
        else:
            yield from _item(product, columns, market)


def _products(rows: Iterator[Row | BadRow]) -> Iterator[list[Row] | BadRow]:
    """Rows of one handle together; a bad row between them does not tear their product apart."""
    held: list[Row] = []
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        elif held and row.handle != held[0].handle:
            yield held
            held = [row]
        elif len(held) == ROWS_PER_ITEM_MAX:
            yield BadRow(row.line, f"product {row.handle[:80]!r} has more than {ROWS_PER_ITEM_MAX} rows")
        else:
            held.append(row)
    if held:
        yield held


def _rows(reader: "Reader", columns: Columns) -> Iterator[Row | BadRow]:
    line = reader.line_num + 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield BadRow(line, f"not readable as CSV: {error}")
            cells = []
        if cells is None:
            return
        if cells and len(cells) != columns.width:
            yield BadRow(line, f"has {len(cells)} cells where the header has {columns.width}")
        elif any(cells):
            handle = columns.cell(cells, "handle")
            yield Row(line, handle, cells) if handle else BadRow(line, "the handle is missing")
        line = reader.line_num + 1


def _item(rows: list[Row], columns: Columns, market: Market) -> Iterator[ImportedItem | BadRow]:
    first = rows[0]
    variants = [row for row in rows if row is first or _is_variant(row, columns)]
    try:
        if len(variants) > SKUS_PER_ITEM_MAX:
            raise ValueError(f"the product has more than {SKUS_PER_ITEM_MAX} variants")
        item = _head(first, variants, columns, market)
    except (ValueError, msgspec.ValidationError) as error:
        yield from (BadRow(row.line, f"product {first.handle[:80]!r}: {error}") for row in variants)
        return
    names = [columns.cell(first.cells, f"option{n}_name") for n in (1, 2, 3)]
    for row in variants:
        try:
            item.skus.append(_sku(names, row, columns, market))
        except (ValueError, msgspec.ValidationError) as error:
            yield BadRow(row.line, str(error))
    if item.skus:
        yield item


def _is_variant(row: Row, columns: Columns) -> bool:
    return any(columns.cell(row.cells, field) for field in ("price", "sku", "option1_value"))


def _head(first: Row, variants: list[Row], columns: Columns, market: Market) -> ImportedItem:
    def cell(field: str) -> str:
        return columns.cell(first.cells, field)

    title = " ".join(cell("title").split())
    if not title:
        raise ValueError("the title is missing on its first row")
    status = cell("status").casefold()
    if status not in ON_SALE:
        raise ValueError(f"the status {status[:40]!r} is none of active, draft, archived, unlisted")
    head = {
        "line": first.line,
        "item_id": _id_from(first.handle),
        "shop_id": market.shop_id,
        "title": _utf8(title),
        "item_type": _item_type(variants, columns),
        "category_ids": _category_ids(cell("type"), cell("category")),
        "on_sale": ON_SALE[status] and _yes(cell("published"), "published"),
    }
    return msgspec.convert(head, ImportedItem)


def _item_type(variants: list[Row], columns: Columns) -> ItemType:
    """Nothing to ship: a gift card, or no variant that requires shipping. Else an address is needed."""
    if columns.cell(variants[0].cells, "gift_card").casefold() == "true":
        return "virtual"
    ships = [_yes(columns.cell(row.cells, "requires_shipping"), "requires shipping") for row in variants]
    return "physical" if any(ships) else "virtual"


def _category_ids(product_type: str, category: str) -> list[str]:
    """The shop's own type, and each level of `Apparel > Shirts`, in lower case with dashes."""
    names = [product_type, *category.split(">")]
    slugs = [re.sub(r"[\W_]+", "-", name.casefold()).strip("-") for name in names]
    return list(dict.fromkeys(_id_from(slug) for slug in slugs if slug))


def _sku(names: list[str], row: Row, columns: Columns, market: Market) -> ImportedSku:
    def cell(field: str) -> str:
        return columns.cell(row.cells, field)

    values = [cell(f"option{n}_value") for n in (1, 2, 3)]
    attributes = {name: _utf8(value) for name, value in zip(names, values, strict=True) if name and value}
    if attributes == {"Title": "Default Title"}:  # how Shopify writes a product without options
        attributes = {}
    if not cell("price"):
        raise ValueError("the price is missing")
    price = amount_minor(cell("price"), market.decimals)
    compare_at = amount_minor(cell("compare_at") or "0", market.decimals)
    document = {
        # Exports made for Excel put an apostrophe before a SKU of digits.
        "sku_id": _utf8(cell("sku").removeprefix("'"))
        or _id_from("~".join([row.handle, *attributes.values()])),
        "prices": {market.currency: {"price_minor": price, "list_price_minor": max(price, compare_at)}},
        "attributes": attributes,
        "weight_grams": grams(cell("grams") or "0"),
    }
    on_hand = units(cell("on_hand")) if cell("on_hand") else None
    if on_hand is not None and on_hand > ON_HAND_MAX:
        raise ValueError(f"{on_hand} units are more than {ON_HAND_MAX}")
    return ImportedSku(row.line, msgspec.convert(document, SkuDocument), on_hand)


def _id_from(text: str) -> str:
    """The text itself; where it is too long its beginning and a digest of all of it."""
    if len(_utf8(text)) <= ID_CHARACTERS_MAX:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{text[: ID_CHARACTERS_MAX - 17]}-{digest}"


def _utf8(text: str) -> str:
    """Bytes that are not UTF-8 come as lone surrogates (the file is opened so): one row, not the file."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{text[:40]!a} is not UTF-8 text") from None
    return text


def _yes(text: str, what: str) -> bool:
    """An empty cell says yes: Shopify's defaults are published and shipped."""
    if text.casefold() not in ("", "true", "false"):
        raise ValueError(f"{what} is {text[:40]!r}, neither TRUE nor FALSE")
    return text.casefold() != "false"
