"""What pricing knows of a group-buy campaign: that a SKU is in it, and when. Its price is not a cart's."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class GroupSale(Struct, frozen=True, gc=False):
    """A SKU on sale in a campaign that everyone may find. Times are milliseconds since 1970."""

    campaign_id: str
    name: str
    currency: str
    starts_at_ms: int
    ends_at_ms: int


# By SKU id.
GroupSales = Mapping[str, tuple[GroupSale, ...]]
