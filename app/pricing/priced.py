"""What pricing a cart leaves: the summary for the buyer, and per line what placing the order needs.

`promotion_minor + coupon_minor` of a line is the `discount_minor` of its summary. Lines are in the cart's
order; the summary groups the same ones by shop.
"""

from __future__ import annotations

from msgspec import Struct

from app.catalog.snapshot import Sku
from app.flash_sales.snapshot import FlashSale
from app.pricing.schemas import LineSummary, Summary


class BuyerCoupon(Struct, frozen=True, gc=False, array_like=True):
    """A coupon in a buyer's hands. Times are milliseconds since 1970."""

    coupon_id: str
    template_id: str
    # "available", "locked" or "used"; that it has expired is seen from `valid_to_ms`
    status: str
    valid_from_ms: int
    valid_to_ms: int


class PricedLine(Struct, gc=False):
    sku: Sku
    # the flash sale's pool, or the SKU's normal one
    pool_id: int
    promotion_minor: int
    coupon_minor: int
    summary: LineSummary


class Priced(Struct, gc=False):
    summary: Summary
    lines: list[PricedLine]
    # the open flash sale that the prices come from
    flash_sale: FlashSale | None
    # the buyer's coupons that gave something, and are spent by the order: coupon id -> amount
    coupons: dict[str, int]
