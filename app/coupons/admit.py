"""Whether a coupon may be given, decided over locked numbers. Pure.

Enters what the ledger has locked of the templates and their buyers; `give` counts each coupon in it, so that
the next one sees what is left. However a coupon comes to a buyer (claimed, granted, by a code, for an
invitation), it is decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from app.coupons.errors import (
    ClaimNotOpen,
    CouponsEnded,
    CouponsExhausted,
    PerBuyerMaxReached,
    RegionNotServed,
    TemplateNotFound,
)
from app.coupons.schemas import Coupon
from app.lib.errors import AppError
from app.pricing.documents import CouponTemplateDocument
from app.pricing.regions import narrowest_first

# When a coupon ends that has no end.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


class LockedTemplate(Struct):
    shop_id: str | None
    document: CouponTemplateDocument
    granted_count: int

    def refuse_many(self, wanted: int) -> None:
        """Raises CouponsExhausted unless so many are left."""
        total = self.document.quantity_total
        if total is not None and self.granted_count + wanted > total:
            raise CouponsExhausted(left=total - self.granted_count)


class NewCoupon(Struct, frozen=True):
    coupon_id: int
    template_id: str
    buyer_id: str
    valid_from: datetime
    valid_to: datetime
    per_buyer_max: int | None


class Numbers(Struct):
    """What is locked: templates, and how many coupons of each (template, buyer) has had; `given` grows."""

    templates: dict[str, LockedTemplate]
    held: dict[tuple[str, str], int]
    given: list[NewCoupon] = []

    def trial(self) -> Numbers:
        """The same, to find out what would be."""
        return Numbers({each: replace(kept) for each, kept in self.templates.items()}, dict(self.held), [])

    def template(self, template_id: str) -> LockedTemplate:
        """Raises TemplateNotFound."""
        if template_id not in self.templates:
            raise TemplateNotFound()
        return self.templates[template_id]

    def refuse_buyers(self, template_id: str, buyer_ids: Sequence[str]) -> None:
        """Raises PerBuyerMaxReached with those who may not have one more."""
        most = self.template(template_id).document.per_buyer_max
        if most is not None:
            over = sorted(each for each in buyer_ids if self.held.get((template_id, each), 0) >= most)
            if over:
                raise PerBuyerMaxReached(user_ids=over)

    def give(self, template_id: str, buyer_id: str, coupon_id: int, now: datetime) -> Coupon:
        """Raises TemplateNotFound, CouponsEnded, PerBuyerMaxReached, CouponsExhausted."""
        template = self.template(template_id)
        document = template.document
        valid_from, valid_to = validity(document, now)
        self.refuse_buyers(template_id, [buyer_id])
        template.refuse_many(1)
        template.granted_count += 1
        self.held[template_id, buyer_id] = self.held.get((template_id, buyer_id), 0) + 1
        self.given.append(
            NewCoupon(coupon_id, template_id, buyer_id, valid_from, valid_to, document.per_buyer_max)
        )
        return Coupon(str(coupon_id), template_id, document.name, "available", valid_from, valid_to)


def why_closed(document: CouponTemplateDocument, now: datetime) -> AppError | None:
    """Why buyers cannot claim now, whatever is left."""
    if not document.claimable:
        return TemplateNotFound()
    if document.claim_from is not None and now < document.claim_from:
        return ClaimNotOpen(claim_from=document.claim_from)
    if document.claim_to is not None and now >= document.claim_to:
        return ClaimNotOpen(claim_to=document.claim_to)
    if document.valid_to is not None and now >= document.valid_to:
        return CouponsEnded()
    return None


def why_elsewhere(document: CouponTemplateDocument, region: str | None) -> AppError | None:
    """Why a buyer who lives there (None: who does not say where) cannot take these coupons."""
    regions = document.claim_regions
    if not regions or not set(regions).isdisjoint(narrowest_first(region)):
        return None
    return RegionNotServed(regions=regions)


def validity(document: CouponTemplateDocument, now: datetime) -> tuple[datetime, datetime]:
    """From when until when a coupon given now can be used. Raises CouponsEnded."""
    valid_from = now if document.valid_from is None else max(now, document.valid_from)
    if document.valid_days is not None:
        valid = timedelta(days=document.valid_days)
        return valid_from, valid_from + valid if valid_from < NEVER - valid else NEVER
    valid_to = document.valid_to or NEVER
    if now >= valid_to:
        raise CouponsEnded()
    return valid_from, valid_to
