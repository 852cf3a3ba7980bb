"""Reads a catalog from NDJSON: one item document a line, with `item_id` and, per SKU, `on_hand`.

Enters an open binary file, leaves records. A line `{"shop": {"shop_id": …, "name": …, "currency":
…}}` brings a shop; an item that names no `shop_id` belongs to the one that the caller names.
"""

from collections.abc import Iterator
from typing import Annotated, BinaryIO

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from app.catalog.documents import (
    SKUS_PER_ITEM_MAX,
    CategoryIds,
    ItemType,
    ShopDocument,
    SkuDocument,
)
from app.catalog.records import BadRow, ImportedItem, ImportedShop, ImportedSku, Record
from app.lib.bounds import ON_HAND_MAX, Currency, Id, Name

# An item of 2,048 SKUs in several currencies is below a megabyte; a longer line is no item.
LINE_BYTES_MAX = 4 << 20
BOM = b"\xef\xbb\xbf"


class SkuLine(SkuDocument, forbid_unknown_fields=True, frozen=True):
    """A SKU document and the stock that it starts with."""

    on_hand: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)] | None = None


class ItemLine(Struct, forbid_unknown_fields=True, frozen=True):
    """A line that is an item."""

    item_id: Id
    title: Name
    skus: Annotated[list[SkuLine], Meta(min_length=1, max_length=SKUS_PER_ITEM_MAX)]
    shop_id: Id | None = None
    item_type: ItemType = "physical"
    category_ids: CategoryIds = []


class ShopBody(Struct, forbid_unknown_fields=True, frozen=True):
    """The shop inside a shop's line."""

    shop_id: Id
    name: Name
    currency: Currency


class Probe(Struct, frozen=True):
    """Tells a shop's line from an item's."""

    shop: Raw | UnsetType = UNSET


_probe = msgspec.json.Decoder(Probe)
_shop = msgspec.json.Decoder(ShopBody)
_item = msgspec.json.Decoder(ItemLine)


def read_ndjson(stream: BinaryIO, shop_id: str) -> Iterator[Record]:
    """`shop_id` is whose the items are that do not say it."""
    for line, text in _lines(stream):
        if text is None:
            yield BadRow(line, f"longer than {LINE_BYTES_MAX} bytes")
        elif text.strip():
            try:
                yield _record(line, text, shop_id)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                yield BadRow(line, str(error))


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines; None for one that is too long, which is passed over to its end."""
    line = 0
    while text := stream.readline(LINE_BYTES_MAX):
        line += 1
        too_long = len(text) == LINE_BYTES_MAX and not text.endswith(b"\n")
        while too_long and (rest := stream.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
            pass
        yield line, None if too_long else text.removeprefix(BOM)


def _record(line: int, text: bytes, shop_id: str) -> Record:
    probe = _probe.decode(text)
    if probe.shop is not UNSET:
        shop = _shop.decode(probe.shop)
        return ImportedShop(line, shop.shop_id, ShopDocument(shop.name, shop.currency))
    item = _item.decode(text)
    return ImportedItem(
        line=line,
        item_id=item.item_id,
        shop_id=item.shop_id or shop_id,
        title=item.title,
        item_type=item.item_type,
        category_ids=item.category_ids,
        on_sale=True,
        skus=[ImportedSku(line, _document(sku), sku.on_hand) for sku in item.skus],
    )


def _document(sku: SkuLine) -> SkuDocument:
    return SkuDocument(sku.sku_id, sku.prices, sku.attributes, sku.weight_grams, sku.reserve_on)
