"""A flash sale as `PUT /admin/flash_sales/{id}` takes it, and as it is answered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from app.catalog.documents import check_currency
from app.lib.bounds import ON_HAND_MAX, AmountMinor, Currency, Id, Name, Quantity, Time, in_utc

# A flash sale of more SKUs than a screen can show is a promotion.
ITEMS_MAX = 500


class FlashSaleItem(Struct, forbid_unknown_fields=True, frozen=True):
    """So many units of a SKU at this price; a buyer may take `per_buyer_max` of them, or any number."""

    sku_id: Id
    currency: Currency
    price_minor: AmountMinor
    quantity: Annotated[int, Meta(ge=1, le=ON_HAND_MAX)]
    per_buyer_max: Quantity | None = None

    def __post_init__(self) -> None:
        check_currency(self.currency)


class FlashSaleDocument(Struct, forbid_unknown_fields=True, frozen=True):
    """The sale is open from `starts_at` until just before `ends_at`."""

    name: Name
    starts_at: Time
    ends_at: Time
    items: Annotated[list[FlashSaleItem], Meta(min_length=1, max_length=ITEMS_MAX)]

    def __post_init__(self) -> None:
        force_setattr(self, "starts_at", in_utc(self.starts_at))
        force_setattr(self, "ends_at", in_utc(self.ends_at))
        if self.starts_at >= self.ends_at:
            raise ValueError("the sale must end after it starts")
        if len({item.sku_id for item in self.items}) < len(self.items):
            raise ValueError("a SKU is listed twice")


class FlashSaleItemView(Struct, frozen=True):
    """An item of a sale; `on_hand` − `reserved` of its quantity is still free."""

    sku_id: str
    currency: str
    price_minor: int
    quantity: int
    per_buyer_max: int | None
    on_hand: int
    reserved: int


class FlashSaleView(Struct, frozen=True):
    """A flash sale as it is answered."""

    activity_id: str
    name: str
    starts_at: datetime
    ends_at: datetime
    status: Literal["scheduled", "open", "ended"]
    items: list[FlashSaleItemView]
