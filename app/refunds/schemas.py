"""What clients send and get around refunds."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import PRINTABLE, QUANTITY_MAX, TOTAL_MINOR_MAX, Number

Money = Annotated[int, Meta(ge=1, le=TOTAL_MINOR_MAX)]
# An order has the lines that a checkout takes, and beside them its gifts.
LINES_MAX = 200


class RefundLine(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """`quantity` units, worth their share of what was paid; or `amount_minor`, which may be less (with
    `quantity` 0: money back, the goods stay bought)."""

    line_id: Number
    quantity: Annotated[int, Meta(ge=0, le=QUANTITY_MAX)] = 0
    amount_minor: Money | None = None


class RefundRequest(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """No lines and no amount: all that is left. An amount without lines is spread over them."""

    order_id: Number
    lines: Annotated[list[RefundLine], Meta(max_length=LINES_MAX)] = []
    amount_minor: Money | None = None
    reason: Annotated[str, Meta(max_length=200, pattern=PRINTABLE)] | None = None


class RefundReply(Struct):
    """Taken; `refund.succeeded` tells when the money has gone back.

    What the order took of points and gift cards is back already; a red packet's share is in its pool. Points
    that the order had earned are taken back with its money.
    """

    refund_id: str
    status: str
    amount_minor: int
    points: int = 0
    gift_card_minor: int = 0
    red_packet_minor: int = 0
    points_taken_back: int = 0
