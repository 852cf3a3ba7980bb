"""A template whose coupons buyers may take themselves, as the price book holds it."""

from __future__ import annotations

from msgspec import Struct

from app.pricing.documents import CouponTemplateDocument
from app.pricing.rules import Rule


class Offer(Struct, frozen=True, gc=False, eq=False):
    """Identity is equality: an offer is made once for each version of its document."""

    template_id: str
    document: CouponTemplateDocument
    # says which SKUs its coupons are for
    rule: Rule
