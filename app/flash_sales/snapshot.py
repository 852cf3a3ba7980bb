"""What every process keeps in memory of the flash sales: window, prices, limits and pools.

Times are milliseconds since 1970 (UTC): comparing two ints is the cheapest test of a window, and pricing
does it for every line.
"""

from __future__ import annotations

from msgspec import Struct


class FlashItem(Struct, frozen=True, gc=False):
    price_minor: int
    currency: str
    quantity: int
    per_buyer_max: int | None
    # the pool that was set aside for this sale
    pool_id: int


class FlashSale(Struct, frozen=True, gc=False, eq=False):
    activity_id: str
    name: str
    starts_at_ms: int
    ends_at_ms: int
    ended: bool
    # by SKU id
    items: dict[str, FlashItem]

    def is_open(self, now_ms: int) -> bool:
        return not self.ended and self.starts_at_ms <= now_ms < self.ends_at_ms
