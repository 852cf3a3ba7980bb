"""What the file readers yield: items with the lines they stand on, or the row that is bad and why.

A record holds one item at most, so memory does not grow with the file. A SKU that is bad is named
and left out of its item; what is wrong with the item itself names each of its rows.
"""

from msgspec import Struct

from app.catalog.documents import CategoryIds, ItemType, ShopDocument, SkuDocument
from app.lib.bounds import Id, Name


class BadRow(Struct, frozen=True):
    """A row that cannot be imported. `line` counts physical lines from 1, as editors do."""

    line: int
    reason: str


class ImportedShop(Struct, frozen=True):
    """A shop that the file brings along."""

    line: int
    shop_id: Id
    document: ShopDocument


class ImportedSku(Struct, frozen=True):
    """A SKU and the stock it starts with; None says that the file does not know."""

    line: int
    document: SkuDocument
    on_hand: int | None


class ImportedItem(Struct, frozen=True):
    """An item with those of its SKUs that are good. Not on sale: its SKUs are kept, but withdrawn."""

    line: int
    item_id: Id
    shop_id: Id
    title: Name
    item_type: ItemType
    category_ids: CategoryIds
    on_sale: bool
    skus: list[ImportedSku] = []


Record = BadRow | ImportedShop | ImportedItem


class UnreadableFile(Exception):
    """The file as a whole is not what it should be; the message says what is missing."""
