"""The contract of `cal_price` and of the body of `checkout/entries`: what enters and the summary that leaves.

Every field that a client sends is bounded, and unknown ones are refused. `payable = goods − discount +
freight + tax` holds at every level of a summary, and a line's discount is the sum of its `discounts`.
Nothing here is tracked by the garbage collector: a request and its summary hold no cycles.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from app.lib.bounds import (
    AMOUNT_MINOR_MAX,
    PRINTABLE,
    TOTAL_MINOR_MAX,
    AmountMinor,
    Currency,
    Id,
    Quantity,
    Region,
)

LINES_MAX = 100
COUPONS_MAX = 20
GIFT_CARDS_MAX = 10
# Typed by hand, and each is looked up.
COUPON_CODES_MAX = 5
# One for each line, and for some groups the whole cart's.
CHOICES_MAX = 2 * LINES_MAX


class CartLine(Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    sku_id: Id
    quantity: Quantity
    # of a bill alone: what was given at the counter, and the part of it that takes no part in discounts
    amount_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)] | None = None
    undiscounted_minor: AmountMinor = 0


class Choice(Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """Of a choice group the promotion that the buyer wants, for one SKU's line or for all others.

    The server follows it only where the buyer is entitled to it; else it is named in `rejected`.
    """

    choice_group: Id
    # null: none of them
    promotion_id: Id | None
    # null: every line that has no choice of its own
    sku_id: Id | None = None


class CartRequest(Struct, forbid_unknown_fields=True, gc=False, omit_defaults=True):
    """The body of `cal_price`. Two lines of one SKU count as one.

    `coupon_codes` are priced as if they had been redeemed; the order that they lower redeems them.
    """

    currency: Currency
    lines: Annotated[list[CartLine], Meta(min_length=1, max_length=LINES_MAX)]
    coupon_ids: Annotated[list[Id], Meta(max_length=COUPONS_MAX)] = []
    auto_coupons: bool = False
    points: Annotated[int, Meta(ge=0, le=TOTAL_MINOR_MAX)] = 0
    gift_card_codes: Annotated[list[Id], Meta(max_length=GIFT_CARDS_MAX)] = []
    red_packet_id: Id | None = None
    address_id: Id | None = None
    mode: Literal["normal", "flash"] = "normal"
    activity_id: Id | None = None
    # of a group without a choice the best for the buyer applies
    choices: Annotated[list[Choice], Meta(max_length=CHOICES_MAX)] = []
    # shared, one-time, or an invitation
    coupon_codes: Annotated[list[Id], Meta(max_length=COUPON_CODES_MAX)] = []
    # where the cart would go, for who has not logged in; of who has, the address counts
    region: Region | None = None

    def __post_init__(self) -> None:
        if (self.mode == "flash") is (self.activity_id is None):
            raise ValueError("`activity_id` goes with `mode: flash`, and only with it")
        if self.choices:
            chosen_for = {(each.choice_group, each.sku_id) for each in self.choices}
            if len(chosen_for) < len(self.choices):
                raise ValueError("one choice for each choice group and SKU")


class CheckoutRequest(CartRequest, forbid_unknown_fields=True, gc=False, kw_only=True):
    """The body of `checkout/entries`: the cart, and what the buyer was shown."""

    payable_minor: Annotated[int, Meta(ge=0, le=TOTAL_MINOR_MAX)]
    quote_id: Id | None = None
    memo: Annotated[str, Meta(max_length=200, pattern=PRINTABLE)] | None = None
    source: Annotated[str, Meta(max_length=32, pattern=PRINTABLE)] | None = None


class Discount(Struct, frozen=True, gc=False, omit_defaults=True):
    """What one rule takes off: of a line among its `discounts`, of the whole cart among `applied`.

    `freight_minor` is there where it frees freight; that is no part of the discount.
    """

    kind: str
    rule_id: str
    name: str
    amount_minor: int
    freight_minor: int = 0


class Rejected(Struct, frozen=True, gc=False, omit_defaults=True):
    """What was asked for and did not apply, or a promotion that nearly did, with what is missing."""

    kind: str
    rule_id: str
    name: str
    code: str
    missing_minor: int | None = None
    missing_quantity: int | None = None
    # of a coupon, where the server chose: what it would take off this cart, were its minimum met
    gains_minor: int | None = None


class Activity(Struct, frozen=True, gc=False, omit_defaults=True):
    """What a SKU is in: a `promotion` that is on, an open `flash_sale`, or a group-buy `campaign`.

    Of the promotions that name one `choice_group` the buyer gets one, and may say which (`choices`).
    """

    kind: str
    activity_id: str
    name: str
    choice_group: str | None = None


class LineSummary(Struct, gc=False, omit_defaults=True):
    sku_id: str
    quantity: int
    unit_price_minor: int
    list_price_minor: int
    goods_minor: int
    discount_minor: int
    freight_minor: int
    tax_minor: int
    payable_minor: int
    # a hint from the gate, not a promise
    available: bool
    max_quantity: int
    discounts: list[Discount]
    # what of the payable amount is tax, where the prices contain it
    tax_included_minor: int = 0
    # of a bill: the part of its goods that takes no part in discounts
    undiscounted_minor: int = 0
    # what the SKU is in, whether or not it lowers this line
    activities: list[Activity] = []


class PriceDifference(Struct, frozen=True, gc=False, omit_defaults=True):
    """What is not as it was quoted: of the whole without `sku_id`, of a discount with the rule that gave it.

    `field` is named as in the summary; what was not there, or is no more, counts as 0.
    """

    field: str
    was_minor: int
    now_minor: int
    sku_id: str | None = None
    kind: str | None = None
    rule_id: str | None = None
    name: str | None = None


class FxRate(Struct, frozen=True, gc=False):
    """So much of `currency` for one of the base (major units), from that time on."""

    base: str
    currency: str
    rate: str
    valid_from: datetime


class ShopSummary(Struct, gc=False, omit_defaults=True):
    shop_id: str
    goods_minor: int
    discount_minor: int
    freight_minor: int
    tax_minor: int
    payable_minor: int
    lines: list[LineSummary]
    # what its prices and its freight were converted with, where they were
    fx_rates: list[FxRate] = []


class Summary(Struct, gc=False):
    quote_id: str
    expires_at: datetime
    currency: str
    goods_minor: int
    promotion_discount_minor: int
    coupon_discount_minor: int
    points_discount_minor: int
    gift_card_minor: int
    red_packet_minor: int
    freight_minor: int
    tax_minor: int
    payable_minor: int
    points_used: int
    points_earned: int
    shops: list[ShopSummary]
    applied: list[Discount]
    rejected: list[Rejected]
    warnings: list[str]
