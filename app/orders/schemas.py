"""What a buyer or a shop sees of an order: an entry of a list, and the detail that repeats the summary.

`payable = goods − discount + freight + tax` on every level, as in the summary that the buyer agreed to.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from app.orders.state import OrderStatus
from app.pricing.explain import ExplainedStep
from app.pricing.explain_charges import ExplainedCharge
from app.pricing.priced import PricedWith
from app.pricing.schemas import FxRate, Rejected
from app.seats.schemas import Seat


class ListedLine(msgspec.Struct):
    line_id: str
    sku_id: str
    title: str
    quantity: int
    payable_minor: int


class ListedOrder(msgspec.Struct):
    """`shop_id` is null for an order of several shops that is not paid yet."""

    order_id: str
    parent_id: str | None
    shop_id: str | None
    buyer_id: str
    status: OrderStatus
    currency: str
    payable_minor: int
    created_at: datetime
    pay_deadline: datetime | None
    paid_at: datetime | None
    lines: list[ListedLine]


class LineDiscount(msgspec.Struct, omit_defaults=True):
    kind: str
    rule_id: str
    name: str
    amount_minor: int
    # what a rule takes off the freight: no part of the discount
    freight_minor: int = 0


class OrderLine(msgspec.Struct, omit_defaults=True):
    """`refunded_…` counts what has been asked back, also where the money is still on its way."""

    line_id: str
    sku_id: str
    title: str
    item_type: str
    quantity: int
    unit_price_minor: int
    list_price_minor: int
    goods_minor: int
    discount_minor: int
    freight_minor: int
    tax_minor: int
    payable_minor: int
    discounts: list[LineDiscount]
    refunded_quantity: int
    refunded_minor: int
    # what of the payable amount is tax, where the prices contain it
    tax_included_minor: int = 0
    # of a bill: the part of its goods that takes no part in discounts
    undiscounted_minor: int = 0
    # of a show, once they are given
    seats: list[Seat] = []


class ShopOrder(msgspec.Struct):
    """The part of one shop: the order itself, or one that it was split into."""

    order_id: str
    shop_id: str
    status: OrderStatus
    goods_minor: int
    discount_minor: int
    freight_minor: int
    tax_minor: int
    payable_minor: int
    lines: list[OrderLine]


class PaymentEntry(msgspec.Struct):
    payment_id: str
    channel: str
    method: str
    status: str
    currency: str
    amount_minor: int
    failure_reason: str | None
    created_at: datetime


class RefundEntry(msgspec.Struct):
    """`payment_id` null: nothing went back in money."""

    refund_id: str
    payment_id: str | None
    cause: str
    status: str
    currency: str
    amount_minor: int
    reason: str | None
    created_at: datetime


class PriceChangeEntry(msgspec.Struct):
    """`after_minor` is what the shop takes off from then on. Who changed it is shown to the staff alone."""

    change_id: str
    order_id: str
    before_minor: int
    after_minor: int
    payable_before_minor: int
    reason: str
    changed_by: str | None
    created_at: datetime


class OrderDetail(msgspec.Struct, omit_defaults=True):
    order_id: str
    parent_id: str | None
    buyer_id: str
    status: OrderStatus
    mode: str
    activity_id: str | None
    currency: str
    goods_minor: int
    promotion_discount_minor: int
    coupon_discount_minor: int
    points_discount_minor: int
    gift_card_minor: int
    red_packet_minor: int
    price_change_minor: int
    freight_minor: int
    tax_minor: int
    payable_minor: int
    points_used: int
    points_earned: int
    created_at: datetime
    pay_deadline: datetime | None
    paid_at: datetime | None
    closed_at: datetime | None
    close_reason: str | None
    address: dict[str, Any] | None
    memo: str | None
    shops: list[ShopOrder]
    applied: list[LineDiscount]
    payments: list[PaymentEntry]
    refunds: list[RefundEntry]
    price_changes: list[PriceChangeEntry]
    # what its prices and its freight were converted with, where they were
    fx_rates: list[FxRate] | None = None


class PricedOrderLine(msgspec.Struct):
    """A line as it was recorded, each kind of discount by itself. A positive price change lowers."""

    line_id: str
    sku_id: str
    quantity: int
    unit_price_minor: int
    list_price_minor: int
    goods_minor: int
    promotion_discount_minor: int
    coupon_discount_minor: int
    points_discount_minor: int
    red_packet_minor: int
    gift_card_minor: int
    price_change_minor: int
    freight_minor: int
    tax_minor: int
    tax_included_minor: int
    payable_minor: int
    discounts: list[LineDiscount]


class PricingDifference(msgspec.Struct):
    """Where the replay gives another amount than the order has.

    `kind` is that of a rule, `freight`, `tax`, `tax_included`, or `price_change` with the change's id.
    """

    sku_id: str
    kind: str
    rule_id: str
    recorded_minor: int
    replayed_minor: int


class ExplainedPriceChange(msgspec.Struct):
    """A seller's change, in place of the one before it: what it takes off by `line_id`."""

    change_id: str
    order_id: str
    reason: str
    created_at: datetime
    payable_before_minor: int
    before_minor: int
    after_minor: int
    lines: dict[str, int]


class OrderPricing(msgspec.Struct):
    """How an order came to its price: `steps` in their order, `charges` (before what pays for them), then a
    seller's `price_changes`.

    `adds_up`: the recorded amounts come to the order's. `matches`: the kinds in `replayed`, as their rules
    and balances were then, give the recorded amounts again; null where nothing was kept to replay from.
    """

    order_id: str
    currency: str
    quote_id: str | None
    priced_with: PricedWith | None
    lines: list[PricedOrderLine]
    steps: list[ExplainedStep]
    charges: list[ExplainedCharge]
    price_changes: list[ExplainedPriceChange]
    rejected: list[Rejected]
    replayed: list[str]
    adds_up: bool
    matches: bool | None
    differences: list[PricingDifference]
