"""The catalog's documents, as the admin calls and the import take them.

Every text, number and list has a bound, unknown fields are refused, and amounts are integers in
the currency's minor unit. What passes here fits the ledger's columns and CHECKs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from app.lib.bounds import AmountMinor, Currency, Id, Name
from app.lib.money import is_currency

# Ten tonnes: above it a parcel is no parcel.
WEIGHT_GRAMS_MAX = 10_000_000
# Shopify allows 2,048 variants a product; nothing that we import has more.
SKUS_PER_ITEM_MAX = 2048

# Member levels: as many as a buyer may have tags.
MEMBER_PRICES_MAX = 32

CategoryIds = Annotated[list[Id], Meta(max_length=32)]
ItemType = Literal["physical", "virtual", "third_party", "bill"]


def check_currency(currency: str) -> None:
    """Raises ValueError, which the decoder turns into a refusal."""
    if not is_currency(currency):
        raise ValueError(f"{currency} is not a currency of ISO 4217")


class ShopDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """A shop as `PUT /admin/shops/{shop_id}` takes it."""

    name: Name
    currency: Currency
    # how its items are sent that name no template of their own; null: for nothing
    freight_template_id: Id | None = None

    def __post_init__(self) -> None:
        check_currency(self.currency)


class PriceDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """What one unit costs in one currency; the list price is the price when it is left out.

    `member_prices` are for buyers who have the tag; of several the lowest counts.
    `cost_minor` is what it costs the shop: promotions are checked against it, buyers never see it.
    """

    price_minor: AmountMinor
    list_price_minor: AmountMinor | None = None
    member_prices: Annotated[dict[Id, AmountMinor], Meta(max_length=MEMBER_PRICES_MAX)] | UnsetType = UNSET
    cost_minor: AmountMinor | UnsetType = UNSET

    def __post_init__(self) -> None:
        if self.list_price_minor is not None and self.list_price_minor < self.price_minor:
            raise ValueError("the list price is below the price")
        if self.member_prices and max(self.member_prices.values()) > self.price_minor:
            raise ValueError("a member price is above the price")


class SkuDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """One sellable variant of an item."""

    sku_id: Id
    prices: Annotated[dict[Currency, PriceDocument], Meta(min_length=1, max_length=32)]
    attributes: Annotated[dict[Name, Name], Meta(max_length=16)] = {}
    weight_grams: Annotated[int, Meta(ge=0, le=WEIGHT_GRAMS_MAX)] = 0
    # when its stock is reserved: as the order is placed, or only as it is paid
    reserve_on: Literal["place", "pay"] = "place"

    def __post_init__(self) -> None:
        for currency in self.prices:
            check_currency(currency)


class ItemDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """An item with all its SKUs as `PUT /admin/items/{item_id}` takes it.

    A SKU that the item had and that is not listed any more is withdrawn from sale.
    """

    shop_id: Id
    title: Name
    skus: Annotated[list[SkuDocument], Meta(max_length=SKUS_PER_ITEM_MAX)]
    item_type: ItemType = "physical"
    category_ids: CategoryIds = []
    freight_template_id: Id | None = None

    def __post_init__(self) -> None:
        if len({sku.sku_id for sku in self.skus}) < len(self.skus):
            raise ValueError("a SKU is listed twice")


class Shop(Struct, frozen=True):
    """A shop as it is answered."""

    shop_id: str
    name: str
    currency: str
    freight_template_id: str | None


class Sku(Struct, frozen=True):
    """A SKU as it is answered; a withdrawn one is not on sale."""

    sku_id: str
    prices: dict[str, PriceDocument]
    attributes: dict[str, str]
    weight_grams: int
    reserve_on: str
    withdrawn: bool


class Item(Struct, frozen=True):
    """An item as it is answered."""

    item_id: str
    shop_id: str
    title: str
    item_type: str
    category_ids: list[str]
    freight_template_id: str | None
    skus: list[Sku]


def stored_prices(sku: SkuDocument) -> dict[str, dict[str, Any]]:
    """Prices as the ledger keeps them: always with a list price."""
    return {currency: _stored_price(price) for currency, price in sku.prices.items()}


def _stored_price(price: PriceDocument) -> dict[str, Any]:
    list_price_minor = price.price_minor if price.list_price_minor is None else price.list_price_minor
    stored: dict[str, Any] = {"price_minor": price.price_minor, "list_price_minor": list_price_minor}
    if price.member_prices:
        stored["member_prices"] = price.member_prices
    if price.cost_minor is not UNSET:
        stored["cost_minor"] = price.cost_minor
    return stored
