"""A seller's price change as it is asked for and answered. Amounts are what is taken off, in minor units."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import PRINTABLE, TOTAL_MINOR_MAX, Number
from app.orders.state import OrderStatus
from app.pricing.schemas import LINES_MAX

OffMinor = Annotated[int, Meta(ge=0, le=TOTAL_MINOR_MAX)]


class LineChange(Struct, forbid_unknown_fields=True, omit_defaults=True):
    line_id: Number
    amount_minor: OffMinor


class PriceChangeRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """All that is taken off from now on: it takes the place of an earlier change, and nothing takes it back.

    `amount_minor` is split over the lines, or `lines` says it of each; `freight_minor` is off the freight.
    """

    reason: Annotated[str, Meta(min_length=1, max_length=200, pattern=PRINTABLE)]
    amount_minor: OffMinor = 0
    # gifts come beside what the cart may hold
    lines: Annotated[list[LineChange], Meta(max_length=2 * LINES_MAX)] = []
    freight_minor: OffMinor = 0

    def __post_init__(self) -> None:
        if self.amount_minor and self.lines:
            raise ValueError("either `amount_minor` or `lines`")


class ChangedLine(Struct):
    line_id: str
    price_change_minor: int
    payable_minor: int


class PriceChangeReply(Struct):
    """The order as it is now. `change_id` is null where nothing had to be changed."""

    change_id: str | None
    order_id: str
    status: OrderStatus
    currency: str
    price_change_minor: int
    payable_minor: int
    lines: list[ChangedLine]
