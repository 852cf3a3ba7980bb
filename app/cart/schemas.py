"""What the cart's calls take and give."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from app.lib.bounds import Id, Quantity

# A cart of more lines than an order may have could not be ordered.
CART_ENTRIES_MAX = 100


class SetEntry(Struct, forbid_unknown_fields=True, frozen=True):
    """The quantity that the cart shall hold of the SKU, whatever it held before."""

    sku_id: Id
    quantity: Quantity


class RemoveEntry(Struct, forbid_unknown_fields=True, frozen=True):
    """The SKU to take out."""

    sku_id: Id


class Entry(Struct, frozen=True):
    """A SKU in the cart, with what a screen shows of it; one that was withdrawn is not on sale."""

    sku_id: str
    quantity: int
    item_id: str
    shop_id: str
    title: str
    attributes: dict[str, str]
    prices: dict[str, Any]
    on_sale: bool
