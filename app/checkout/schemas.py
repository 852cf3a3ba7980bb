"""What `checkout/entries` answers, and the drafts that travel from pricing to the ledger.

A draft is whole before any write: ids, amounts, the answer's bytes. Amounts are integers in minor units of
`currency`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.addresses.schemas import AddressSnapshot
from app.coupons.admit import Numbers
from app.coupons.codes import WantedCode
from app.lib.idempotency import Once
from app.pricing.limits import RuleUse
from app.pricing.priced import PricedWith
from app.pricing.schemas import Discount, FxRate
from app.stock.scripts import Reservation


class PlacedShopOrder(msgspec.Struct, gc=False):
    order_id: str
    shop_id: str
    payable_minor: int


class PlacedOrder(msgspec.Struct, gc=False):
    """The answer: `orders` holds the children of a split order, or the order itself."""

    order_id: str
    status: str
    currency: str
    payable_minor: int
    pay_deadline: datetime
    orders: list[PlacedShopOrder]


class OrderPlaced(msgspec.Struct, gc=False):
    """The payload of `order.placed`."""

    order_id: str
    buyer_id: str
    currency: str
    payable_minor: int
    pay_deadline: datetime
    orders: list[PlacedShopOrder]


class OrderDraft(msgspec.Struct, gc=False, omit_defaults=True):
    """A row of `orders`: the only order of a checkout, or a parent, or a child. Fields are its columns.

    What most orders do not have stands at the end and is left out of what is sent.
    """

    order_id: int
    parent_id: int | None
    buyer_id: str
    shop_id: str | None
    currency: str
    goods_minor: int
    promotion_discount_minor: int
    payable_minor: int
    mode: str
    activity_id: str
    # the buyer's address that it goes to
    address_id: int | None
    memo: str | None
    source: str | None
    quote_id: str | None
    created_at: datetime
    # where that address must be, if the price depends on it
    region: str | None = None
    # the address, where it was read before the write
    address: AddressSnapshot | None = None
    # of the order that is paid, not of a child
    pay_deadline: datetime | None = None
    event: OrderPlaced | None = None
    coupon_discount_minor: int = 0
    points_discount_minor: int = 0
    red_packet_minor: int = 0
    gift_card_minor: int = 0
    freight_minor: int = 0
    tax_minor: int = 0
    # of the order that is paid, not of a child
    points_used: int = 0
    points_earned: int = 0
    priced_with: PricedWith | None = None
    fx_rates: list[FxRate] | None = None


class LineDraft(msgspec.Struct, gc=False, omit_defaults=True):
    """A row of `order_line`. Fields are its columns; what most lines do not have is left out, as above."""

    order_id: int
    line_id: int
    sku_id: str
    title: str
    item_type: str
    pool_id: int
    reserve_on: str
    quantity: int
    unit_price_minor: int
    list_price_minor: int
    goods_minor: int
    promotion_discount_minor: int
    payable_minor: int
    discounts: list[Discount] | None = None
    coupon_discount_minor: int = 0
    points_discount_minor: int = 0
    red_packet_minor: int = 0
    gift_card_minor: int = 0
    freight_minor: int = 0
    tax_minor: int = 0
    tax_included_minor: int = 0
    undiscounted_minor: int = 0


class Deduction(msgspec.Struct, gc=False):
    """A row of `order_deduction`: what a line takes of a balance, in the balance's own unit and in money."""

    order_id: int
    line_id: int
    # points, red_packet or gift_card; and the id of which
    kind: str
    source_id: str
    account: str
    currency: str
    amount: int
    amount_minor: int


class Checkout(msgspec.Struct, gc=False):
    """One checkout on its way into the ledger."""

    once: Once
    buyer_id: str
    root: OrderDraft
    children: list[OrderDraft]
    lines: list[LineDraft]
    reservations: list[Reservation]
    # those that this process holds in the gate
    held: list[Reservation]
    coupon_ids: list[int]
    deductions: list[Deduction]
    activity_id: str
    created_at: datetime
    answer_body: bytes
    # what it takes of limited rules
    uses: Sequence[RuleUse] = ()
    # what it redeems
    codes: Sequence[WantedCode] = ()
    # by the codes of its batch, for one order to tell whom it concerns
    given: Numbers | None = None
