"""Promotions and coupon templates as operators send them.

Unknown fields and kinds are refused, every number and list is bounded, and whatever is accepted is honoured:
a rule must never be ignored in part. What the contract does not name is left out where nobody has sent it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr

from app.lib.bounds import AMOUNT_MINOR_MAX, Currency, Id, Name, Quantity, Region, Time, in_utc
from app.lib.money import WHOLE_BP, is_currency

# A scope of more SKUs is a category; a document stays below the admin calls' body limit.
SCOPE_IDS_MAX = 5_000
PRIORITY_MAX = 1_000_000
# More steps than this are a price list, not a promotion.
TIERS_MAX = 20
# A set of more different SKUs is a catalog.
BUNDLE_SKUS_MAX = 20
# Ten million coupons of one template is more buyers than a sale of one shop has.
COUPONS_OF_TEMPLATE_MAX = 10_000_000
# One-time codes are made in the call's own transaction: this many take about a second.
CODES_MAX = 50_000

Ids = Annotated[list[Id], Meta(max_length=SCOPE_IDS_MAX)]
Price = Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)]
AboveZero = Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
PercentBp = Annotated[int, Meta(ge=1, le=WHOLE_BP)]
Count = Annotated[int, Meta(ge=1, le=COUPONS_OF_TEMPLATE_MAX)]


def _check_scope(scope: Scope, effect: Effect) -> None:
    """Raises ValueError for a rule that no cart could ever meet."""
    others = scope.item_ids or scope.category_ids or scope.shop_ids
    if isinstance(effect, AddonPrice) and scope.sku_ids == [effect.sku_id] and not others:
        raise ValueError("an add-on comes beside other SKUs than itself: its `scope` names none")
    outside = isinstance(effect, Bundle) and effect.sku_quantities.keys() - set(scope.sku_ids)
    if outside and scope.sku_ids and not others:
        raise ValueError(f"the bundle's SKU {min(outside)} is not in its `scope`")


def _keep_window(document: Struct, start: str, end: str) -> None:
    """Keep both times in UTC, if there are any. Raises ValueError for an empty window."""
    times: list[datetime | None] = [getattr(document, name) for name in (start, end)]
    times = [time and in_utc(time) for time in times]
    if times[0] is not None and times[1] is not None and times[0] >= times[1]:
        raise ValueError("it ends before it starts")
    force_setattr(document, start, times[0])
    force_setattr(document, end, times[1])


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """What all parts of a document share: unknown fields are refused."""


class Scope(Document, frozen=True):
    """A SKU is in scope that is in any of the lists; all empty: every SKU (of the rule's shop)."""

    sku_ids: Ids = []
    item_ids: Ids = []
    category_ids: Ids = []
    shop_ids: Ids = []


class Condition(Document, frozen=True):
    """What the lines in scope must come to together, thresholds inclusive; and for whom the rule is.

    Of regions (a country or a part of it), channels, tags and currencies one must fit; none: any does.
    """

    min_amount_minor: AboveZero | None = None
    min_quantity: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    base: Literal["list", "discounted"] = "discounted"
    regions: Annotated[list[Region], Meta(max_length=SCOPE_IDS_MAX)] = []
    channels: Ids = []
    buyer_tags: Ids = []
    currencies: Annotated[list[Currency], Meta(max_length=32)] = []
    # the buyer has placed no order that is not canceled
    first_order: bool | UnsetType = UNSET

    def __post_init__(self) -> None:
        for currency in self.currencies:
            if not is_currency(currency):
                raise ValueError(f"{currency} is not a currency of ISO 4217")


class PercentOff(Document, frozen=True, tag_field="kind", tag="percent_off"):
    """A percentage of one line, or of the sum of several, rounded half up once and then split."""

    percent_bp: PercentBp


class AmountOff(Document, frozen=True, tag_field="kind", tag="amount_off"):
    """An amount off each unit, each line, or once off all lines in scope."""

    amount_minor: AboveZero
    per: Literal["unit", "line", "order"] = "order"


class Tier(Document, frozen=True):
    """From this amount or quantity on, this much off."""

    min_amount_minor: AboveZero | None = None
    min_quantity: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    amount_off_minor: AboveZero | None = None
    percent_bp: PercentBp | None = None

    def __post_init__(self) -> None:
        if (self.min_amount_minor is None) is (self.min_quantity is None):
            raise ValueError("a tier has either `min_amount_minor` or `min_quantity`")
        if (self.amount_off_minor is None) is (self.percent_bp is None):
            raise ValueError("a tier has either `amount_off_minor` or `percent_bp`")

    @property
    def threshold(self) -> int:
        return self.min_amount_minor or self.min_quantity or 0


class Tiers(Document, frozen=True, tag_field="kind", tag="tiers"):
    """The highest tier that is reached; with `repeat`, every full step again, the highest first."""

    tiers: Annotated[list[Tier], Meta(min_length=1, max_length=TIERS_MAX)]
    repeat: bool = False

    def __post_init__(self) -> None:
        if len({tier.min_amount_minor is None for tier in self.tiers}) > 1:
            raise ValueError("the tiers of one rule go either by amount or by quantity")
        if len({tier.threshold for tier in self.tiers}) < len(self.tiers):
            raise ValueError("two tiers have the same threshold")
        if self.repeat and any(tier.percent_bp is not None for tier in self.tiers):
            raise ValueError("a percentage cannot be repeated: use `amount_off_minor`")


class FixedPrice(Document, frozen=True, tag_field="kind", tag="fixed_price"):
    """What a unit costs; a unit that is cheaper already stays so."""

    price_minor: Price


class BuyXGetY(Document, frozen=True, tag_field="kind", tag="buy_x_get_y"):
    """In every full set of `buy_quantity` and `get_quantity` units the latter are lowered.

    Both come from the rule's scope, or the latter from `get_scope` where it names anything. A unit that
    counts as bought is not lowered, so an incomplete set gives nothing.
    """

    buy_quantity: Quantity
    get_quantity: Quantity
    get_percent_bp: PercentBp
    get_scope: Scope = Scope()
    get_pick: Literal["cheapest", "dearest"] = "cheapest"
    max_times: Quantity | None = None


class Bundle(Document, frozen=True, tag_field="kind", tag="bundle"):
    """What one set of these units costs together, as often as the cart holds a full set."""

    sku_quantities: Annotated[dict[Id, Quantity], Meta(min_length=1, max_length=BUNDLE_SKUS_MAX)]
    price_minor: Price


class AddonPrice(Document, frozen=True, tag_field="kind", tag="addon_price"):
    """What a unit of this SKU costs beside other lines, on which the rule's condition must hold.

    `limits.max_quantity` units of an order, one where it is left out.
    """

    sku_id: Id
    price_minor: Price


class Gift(Document, frozen=True, tag_field="kind", tag="gift"):
    """Units of a SKU that are added to the cart and cost nothing, once an order."""

    sku_id: Id
    quantity: Quantity = 1


class FreeFreight(Document, frozen=True, tag_field="kind", tag="free_freight"):
    """The lines in scope are sent for nothing; `limits.max_discount_minor` bounds what that saves."""


Effect = PercentOff | AmountOff | Tiers | FixedPrice | BuyXGetY | Bundle | AddonPrice | Gift | FreeFreight


class Limits(Document, frozen=True):
    """Ceilings of one use of the rule, and of all together: what they give, how many, how many of a buyer."""

    max_discount_minor: AboveZero | None = None
    max_quantity: Quantity | None = None
    budget_minor: AboveZero | None = None
    uses_max: Count | None = None
    uses_per_buyer_max: Count | None = None


class PromotionDocument(Document, frozen=True):
    name: Name
    lane: Literal["item", "shop", "platform"]
    effect: Effect
    shop_id: Id | None = None
    priority: Annotated[int, Meta(ge=-PRIORITY_MAX, le=PRIORITY_MAX)] = 0
    exclusive: bool = False
    choice_group: Id | None = None
    starts_at: Time | None = None
    ends_at: Time | None = None
    enabled: bool = True
    # on lines that it lowers no coupon acts
    bars_coupons: bool | UnsetType = UNSET
    scope: Scope = Scope()
    condition: Condition = Condition()
    limits: Limits = Limits()

    def __post_init__(self) -> None:
        _check_scope(self.scope, self.effect)
        _keep_window(self, "starts_at", "ends_at")


class Invite(Document, frozen=True):
    """Who redeems a buyer's invite code gets a coupon; that buyer gets one of another template."""

    inviter_template_id: Id


class CouponTemplateDocument(Document, frozen=True):
    name: Name
    effect: Effect
    shop_id: Id | None = None
    scope: Scope = Scope()
    condition: Condition = Condition()
    limits: Limits = Limits()
    valid_from: Time | None = None
    valid_to: Time | None = None
    valid_days: Annotated[int, Meta(ge=1, le=3_650)] | None = None
    quantity_total: Count | None = None
    per_buyer_max: Count | None = None
    stack_category: Id | None = None
    code: Id | None = None
    codes_count: Annotated[int, Meta(ge=1, le=CODES_MAX)] | None = None
    # buyers may take one themselves, within the window
    claimable: bool = False
    claim_from: Time | None = None
    claim_to: Time | None = None
    # to whom they come by a claim, a code or an invitation: buyers with an address there; none: anybody
    claim_regions: Annotated[list[Region], Meta(max_length=SCOPE_IDS_MAX)] = []
    invite: Invite | None = None
    # a canceled order's coupons always come back; after a full refund only where it says so
    return_on: Literal["cancel", "refund"] = "cancel"

    def __post_init__(self) -> None:
        _check_scope(self.scope, self.effect)
        _keep_window(self, "valid_from", "valid_to")
        _keep_window(self, "claim_from", "claim_to")
        if not self.claimable and (self.claim_from is not None or self.claim_to is not None):
            raise ValueError("`claim_from` and `claim_to` go with `claimable`")
        if self.valid_to is not None and self.valid_days is not None:
            raise ValueError("a template has either `valid_to` or `valid_days`")
        if self.code is not None and self.codes_count is not None:
            raise ValueError("a template has either one shared `code` or `codes_count` one-time codes")
