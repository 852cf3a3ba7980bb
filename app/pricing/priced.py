"""What pricing a cart leaves: the summary for the buyer, and per line what placing the order needs.

What a line is lowered by is kept apart by kind; the kinds together are the `discount_minor` of its summary.
Lines are in the cart's order, gifts after them; the summary groups the same ones by shop.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.catalog.snapshot import Sku
from app.flash_sales.snapshot import FlashSale
from app.pricing.limits import RuleUse, Taken
from app.pricing.schemas import Choice, LineSummary, Summary

# Of a rule to a line: its place in `applied`, the amount, and what of the freight.
Part = tuple[int, int, int]


class PricedLine(Struct, gc=False):
    sku: Sku
    # the flash sale's pool, or the SKU's normal one
    pool_id: int
    summary: LineSummary
    # the parts of its discount
    promotion_minor: int
    # what each rule gave, as `discounts` tells it, for a quote; of what a quote has priced, nothing
    given: list[Part]
    coupon_minor: int = 0
    points_minor: int = 0
    red_packet_minor: int = 0
    gift_card_minor: int = 0
    # added by a rule, and costs nothing
    gift: bool = False


class PricedWith(Struct, frozen=True, gc=False, array_like=True):
    """What a price depended on beside the lines themselves, for whoever wants to know later."""

    at_ms: int
    # of the book: the promotions' and templates', and the catalog's
    promotions_version: int
    catalog_version: int
    # that the cart asked for, or that were chosen for it
    coupon_ids: Sequence[str]
    # not to be applied again, and why not (rule or coupon id, code): coupons that the cart named and that
    # were not among the best, or not the buyer's to use; of older orders also limited rules of which too
    # little was left
    left_out: Sequence[tuple[str, str]] = ()
    region: str | None = None
    channel: str | None = None
    # where a rule or a price asked for them
    buyer_tags: Sequence[str] = ()
    first_order: bool = False
    # what the buyer asked for in choice groups
    choices: Sequence[Choice] = ()
    # of the book: freight templates and tax rules; None: of an order that was placed before it was kept
    charges_version: int | None = None
    # that the cart asked for
    points: int = 0
    # of limited rules that the cart met
    taken: Sequence[Taken] = ()


class GoodCodes(Struct, frozen=True, gc=False):
    """Of the codes that the cart names those that were counted like coupons: the buyer may redeem them.

    `region`: where the buyer lives, as far as the cart says.
    """

    codes: Sequence[str]
    region: str | None


class Priced(Struct, gc=False):
    summary: Summary
    lines: list[PricedLine]
    # the open flash sale that the prices come from
    flash_sale: FlashSale | None
    # the buyer's coupons that gave something, and are spent by the order: coupon id -> amount; a code that
    # is not redeemed yet stands there itself
    coupons: dict[str, int]
    # SKUs that are not sent to where the cart goes
    unserved: list[str] = []
    # SKUs that are not sold before it is known where the buyer is
    address_taxed: list[str] = []
    # where that is, if it mattered
    region: str | None = None
    # the limited rules that gave something
    uses: Sequence[RuleUse] = ()
    priced_with: PricedWith | None = None
    # None: the cart names none
    codes: GoodCodes | None = None
