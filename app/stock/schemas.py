"""What the calls take and give that change a SKU's stock by hand."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import ON_HAND_MAX, PRINTABLE


class SetStock(Struct, forbid_unknown_fields=True, frozen=True):
    """What was counted on the shelf; with a version, only if the stock has not moved since it was read."""

    on_hand: Annotated[int, Meta(ge=0, le=ON_HAND_MAX)]
    expected_version: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None


class AdjustStock(Struct, forbid_unknown_fields=True, frozen=True, omit_defaults=True):
    """So much more or less, and why."""

    delta: Annotated[int, Meta(ge=-ON_HAND_MAX, le=ON_HAND_MAX)]
    reason: Annotated[str, Meta(max_length=255, pattern=PRINTABLE)] = ""


class StockLevel(Struct, frozen=True):
    """The stock of a SKU's normal sale. Free to sell: on hand minus reserved."""

    sku_id: str
    on_hand: int
    reserved: int
    version: int
