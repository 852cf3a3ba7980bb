"""A draft against this process's price book: the check before publishing, and the floor that it keeps.

A floor is a SKU's cost where its shop has said it, and a set part of its price (`RUSHCART_PRICE_FLOOR_BP`).
"""

from __future__ import annotations

from msgspec import Struct

from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.bounds import Id
from app.lib.errors import Unprocessable
from app.pricing.documents import PromotionDocument
from app.pricing.rules import milliseconds, promotion_rule
from app.promotions.check import PromotionCheck, check_promotion, has_floors
from app.promotions.lowest import Lowest


class PromotionDraft(Struct, frozen=True, forbid_unknown_fields=True):
    """A promotion before it is published; `coupons`: together with those that everybody may claim."""

    promotion_id: Id
    document: PromotionDocument
    coupons: bool = False


class BelowFloor(Unprocessable):
    """Members: `sku_ids`, `violations`; with `override=true` it is published, and that is kept on record."""

    code = "below_floor"
    title = "This promotion brings prices below their floor"


async def check_draft(
    services: Services,
    caller: Caller,
    promotion_id: str,
    document: PromotionDocument,
    *,
    with_coupons: bool = False,
) -> PromotionCheck:
    """What a promotion would meet, and the lowest prices that result. Raises Forbidden."""
    caller.require_shop(document.shop_id or "")
    return await check_promotion(
        services.prices.book,
        promotion_rule(promotion_id, document, services.settings.lanes),
        floor_bp=services.settings.price_floor_bp,
        now_ms=milliseconds(services.clock.now()),
        with_coupons=with_coupons,
    )


class Floored(Struct, frozen=True):
    """What would cost less than its floor, beside the promotions of this version; None: whatever they are."""

    violations: list[Lowest] = []
    version: int | None = None


async def below_floor(
    services: Services, caller: Caller, promotion_id: str, document: PromotionDocument
) -> Floored:
    """Nothing is priced where nothing in scope has a floor."""
    rule = promotion_rule(promotion_id, document, services.settings.lanes)
    book = services.prices.book
    if not document.enabled or not has_floors(book, rule, services.settings.price_floor_bp):
        return Floored()
    report = await check_draft(services, caller, promotion_id, document)
    return Floored(report.violations, book.promotions_version)
