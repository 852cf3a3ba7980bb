"""Administration of promotions: `op`, or `merchant` for its own shop. A PUT may be repeated."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post, put
from litestar.params import JSONBody, QueryParameter

from app.dependencies import ServicesDependency, Staff
from app.lib.errors import NotFound
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Cursor, Limit, PathId, QueryId
from app.pricing.documents import PromotionDocument
from app.promotions.administer import (
    Promotion,
    PromotionUses,
    list_promotions,
    put_promotion,
    read_promotion,
    read_uses,
)
from app.promotions.check import PromotionCheck
from app.promotions.check_effect import EffectSkuUnknown
from app.promotions.floor import BelowFloor, PromotionDraft, check_draft

# A scope of 5,000 ids of 64 characters.
PROMOTION_BYTES_MAX = 1 << 20
Override = Annotated[bool, QueryParameter()]


@put(
    "/admin/promotions/{promotion_id:str}",
    request_max_body_size=PROMOTION_BYTES_MAX,
    problems=((NotFound, "shop_not_found"), EffectSkuUnknown, BelowFloor),
)
async def replace_promotion(
    promotion_id: PathId,
    data: JSONBody[PromotionDocument],
    services: ServicesDependency,
    staff: Staff,
    override: Override = False,
) -> Promotion:
    """`override` publishes also what brings prices below their floor; who wanted it is kept on record."""
    return await put_promotion(services, staff, promotion_id, data, override=override)


@post("/admin/promotions/check", status_code=200, request_max_body_size=PROMOTION_BYTES_MAX)
async def check_before_publishing(
    data: JSONBody[PromotionDraft], services: ServicesDependency, staff: Staff
) -> PromotionCheck:
    """What it collides with or stacks on, for which SKUs, and the lowest prices that result."""
    return await check_draft(services, staff, data.promotion_id, data.document, with_coupons=data.coupons)


@get("/admin/promotions/{promotion_id:str}", problems=((NotFound, "promotion_not_found"),))
async def show_promotion(promotion_id: PathId, services: ServicesDependency, staff: Staff) -> Promotion:
    return await read_promotion(services.pool, staff, promotion_id)


@get("/admin/promotions/{promotion_id:str}/uses", problems=((NotFound, "promotion_not_found"),))
async def show_promotion_uses(
    promotion_id: PathId, services: ServicesDependency, staff: Staff
) -> PromotionUses:
    """How much of its budget and of its uses is gone."""
    return await read_uses(services.pool, staff, promotion_id)


@get("/admin/promotions")
async def show_promotions(
    services: ServicesDependency,
    staff: Staff,
    shop_id: QueryId = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[Promotion]:
    """A merchant sees its own shop's promotions, whatever it asks for."""
    return await list_promotions(services.pool, staff.shop_id or shop_id, cursor, limit)


ROUTES = [replace_promotion, check_before_publishing, show_promotion, show_promotion_uses, show_promotions]
