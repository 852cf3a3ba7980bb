"""The catalog's documents, as the admin calls and the import take them.

Every text, number and list has a bound, unknown fields are refused, and amounts are integers in
the currency's minor unit. What passes here fits the ledger's columns and CHECKs.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

# Text without control characters, tested to its very end: `$` alone would let a newline through.
_PLAIN = r"^[^\x00-\x1f\x7f]+$(?!\n)"

# A price of ten thousand million minor units is a typing mistake in every currency we know, and
# a cart of 100 such lines of 1,000 units each still fits a bigint.
AMOUNT_MINOR_MAX = 10**12
# Ten tonnes: above it a parcel is no parcel.
WEIGHT_GRAMS_MAX = 10_000_000
# Shopify allows 2,048 variants a product; nothing that we import has more.
SKUS_PER_ITEM_MAX = 2048
# A stock of a thousand million units of one SKU is a typing mistake.
ON_HAND_MAX = 10**9

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=_PLAIN)]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=_PLAIN)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$(?!\n)")]
AmountMinor = Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)]
CategoryIds = Annotated[list[Id], Meta(max_length=32)]
ItemType = Literal["physical", "virtual", "third_party", "bill"]


class ShopDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """A shop as `PUT /admin/shops/{shop_id}` takes it."""

    name: Name
    currency: Currency


class PriceDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """What one unit costs in one currency; the list price is the price when it is left out."""

    price_minor: AmountMinor
    list_price_minor: AmountMinor | None = None

    def __post_init__(self) -> None:
        if self.list_price_minor is not None and self.list_price_minor < self.price_minor:
            raise ValueError("the list price is below the price")


class SkuDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """One sellable variant of an item."""

    sku_id: Id
    prices: Annotated[dict[Currency, PriceDocument], Meta(min_length=1, max_length=32)]
    attributes: Annotated[dict[Name, Name], Meta(max_length=16)] = {}
    weight_grams: Annotated[int, Meta(ge=0, le=WEIGHT_GRAMS_MAX)] = 0
    # when its stock is reserved: as the order is placed, or only as it is paid
    reserve_on: Literal["place", "pay"] = "place"


class ItemDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """An item with all its SKUs as `PUT /admin/items/{item_id}` takes it.

    A SKU that the item had and that is not listed any more is withdrawn from sale.
    """

    shop_id: Id
    title: Name
    skus: Annotated[list[SkuDocument], Meta(max_length=SKUS_PER_ITEM_MAX)]
    item_type: ItemType = "physical"
    category_ids: CategoryIds = []
