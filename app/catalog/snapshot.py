"""What every process keeps in memory of the catalog, so that pricing needs no I/O.

Enters: rows of shops, items and SKUs. Leaves: small immutable records. A hundred thousand of them must stay
small: strings that repeat are interned by the loader, and none is tracked by the garbage collector.
"""

from __future__ import annotations

from msgspec import Struct


class Shop(Struct, frozen=True, gc=False):
    shop_id: str
    name: str
    currency: str
    # how its items are sent that name no template of their own
    freight_template_id: str | None = None


class Sku(Struct, frozen=True, gc=False, eq=False):
    """A SKU on sale, with what an order line keeps of its item."""

    sku_id: str
    item_id: str
    shop_id: str
    title: str
    item_type: str
    category_ids: tuple[str, ...]
    # currency -> (price_minor, list_price_minor); the list price is the price where there is none
    prices: dict[str, tuple[int, int]]
    weight_grams: int
    # the stock pool of its normal sale
    pool_id: int
    # "place" or "pay": when its stock is reserved
    reserve_on: str
    attributes: dict[str, str]
    # its item's own, before the shop's
    freight_template_id: str | None = None
    # currency -> (buyer tag, price_minor) pairs; None: everybody pays the same, as for most SKUs
    member_prices: dict[str, tuple[tuple[str, int], ...]] | None = None
    # what one unit costs the shop, by currency, where it has said so
    costs: dict[str, int] | None = None
