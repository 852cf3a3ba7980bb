"""What the coupon calls take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import Id
from app.pricing.documents import Condition, CouponTemplateDocument, Effect, Limits, Scope

# One transaction gives them all: this many take about half a second.
GRANT_USERS_MAX = 10_000


class Template(CouponTemplateDocument, frozen=True, kw_only=True):
    """A coupon template as it is stored."""

    template_id: str
    granted_count: int


class Code(Struct, frozen=True):
    code: str
    redeemed: bool


class Grant(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A coupon for each of these buyers, or for none of them."""

    user_ids: Annotated[list[Id], Meta(min_length=1, max_length=GRANT_USERS_MAX)]

    def __post_init__(self) -> None:
        if len(set(self.user_ids)) < len(self.user_ids):
            raise ValueError("a buyer is named twice: one call gives each one coupon")


class GrantedCoupon(Struct, frozen=True):
    user_id: str
    coupon_id: str


class Granted(Struct, frozen=True):
    coupons: list[GrantedCoupon]


class Redeem(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`address_id`: one of the buyer's, where the coupons are for some regions only."""

    code: Id
    address_id: Id | None = None


class ClaimRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`address_id`: one of the buyer's, where the coupons are for some regions only."""

    template_id: Id
    address_id: Id | None = None


class Invitation(Struct, frozen=True):
    """A buyer's own code of a template, how many came by it, and how many coupons that brought the buyer."""

    template_id: str
    code: str
    invited_count: int
    rewarded_count: int


class OpenOffer(Struct, frozen=True, kw_only=True):
    """Coupons that can be claimed now. `left` is null where there is no end to them, and a hint otherwise;
    `can_claim` is null for who has not logged in.
    """

    template_id: str
    name: str
    shop_id: str | None
    scope: Scope
    condition: Condition
    effect: Effect
    limits: Limits
    valid_from: datetime | None
    valid_to: datetime | None
    valid_days: int | None
    claim_to: datetime | None
    # none: anybody may claim
    claim_regions: list[str]
    per_buyer_max: int | None
    left: int | None
    can_claim: bool | None


class Coupon(Struct, frozen=True):
    """A buyer's coupon. `status` is available, locked, used or expired."""

    coupon_id: str
    template_id: str
    name: str
    status: str
    valid_from: datetime
    valid_to: datetime
