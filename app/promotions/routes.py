"""Administration of promotions: `op`, or `merchant` for its own shop. A PUT may be repeated."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

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
from app.promotions.check_effect import EffectSkuUnknown

# A scope of 5,000 ids of 64 characters.
PROMOTION_BYTES_MAX = 1 << 20


@put(
    "/admin/promotions/{promotion_id:str}",
    request_max_body_size=PROMOTION_BYTES_MAX,
    problems=((NotFound, "shop_not_found"), EffectSkuUnknown),
)
async def replace_promotion(
    promotion_id: PathId, data: JSONBody[PromotionDocument], services: ServicesDependency, staff: Staff
) -> Promotion:
    return await put_promotion(services.pool, services.prices, staff, promotion_id, data)


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


ROUTES = [replace_promotion, show_promotion, show_promotion_uses, show_promotions]
