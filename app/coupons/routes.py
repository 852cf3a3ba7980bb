"""Coupons: templates and grants by `op` (or `merchant` for its own shop); buyers claim, redeem and list."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post, put
from litestar.params import JSONBody

from app.coupons.administer import list_codes, list_templates, put_template, read_template
from app.coupons.errors import (
    AlreadyInvited,
    ClaimNotOpen,
    CodeNotFound,
    CodeUsed,
    CouponsEnded,
    CouponsExhausted,
    OwnInvitation,
    PerBuyerMaxReached,
    RegionNotServed,
    TemplateNotFound,
)
from app.coupons.give import grant
from app.coupons.invite import own_invitation
from app.coupons.list_coupons import list_coupons
from app.coupons.offers import open_offers
from app.coupons.redeem import redeem
from app.coupons.schemas import (
    ClaimRequest,
    Code,
    Coupon,
    Grant,
    Granted,
    Invitation,
    OpenOffer,
    Redeem,
    Template,
)
from app.coupons.take import claim
from app.dependencies import Buyer, ServicesDependency, Staff, Visitor
from app.lib.answers import as_response
from app.lib.errors import Conflict, IdempotencyKeyReused, NotFound, OutcomeUnknown, Unavailable
from app.lib.hot import HotRoute
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import (
    Cursor,
    IdempotencyKey,
    Limit,
    NumberCursor,
    PathId,
    QueryId,
    QueryRegion,
    RequiredQueryId,
)
from app.pricing.documents import CouponTemplateDocument
from app.pricing.errors import SkuNotFound
from app.promotions.check_effect import EffectSkuUnknown

# A scope of 5,000 ids, or a grant to 10,000 buyers, of up to 64 characters each.
COUPON_BYTES_MAX = 1 << 20


@put(
    "/admin/coupon_templates/{template_id:str}",
    request_max_body_size=COUPON_BYTES_MAX,
    problems=(
        (NotFound, "shop_not_found"),
        (NotFound, "inviter_template_not_found"),
        EffectSkuUnknown,
        (Conflict, "code_taken"),
        (Conflict, "below_granted"),
    ),
)
async def replace_template(
    template_id: PathId, data: JSONBody[CouponTemplateDocument], services: ServicesDependency, staff: Staff
) -> Template:
    return await put_template(services.pool, services.prices, staff, template_id, data)


@get("/admin/coupon_templates/{template_id:str}", problems=(TemplateNotFound,))
async def show_template(template_id: PathId, services: ServicesDependency, staff: Staff) -> Template:
    return await read_template(services.pool, staff, template_id)


@get("/admin/coupon_templates")
async def show_templates(
    services: ServicesDependency,
    staff: Staff,
    shop_id: QueryId = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[Template]:
    """A merchant sees its own shop's templates, whatever it asks for."""
    return await list_templates(services.pool, staff.shop_id or shop_id, cursor, limit)


@get("/admin/coupon_templates/{template_id:str}/codes", problems=(TemplateNotFound,))
async def show_codes(
    template_id: PathId,
    services: ServicesDependency,
    staff: Staff,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[Code]:
    """The template's one-time codes."""
    return await list_codes(services.pool, staff, template_id, cursor, limit)


@post(
    "/admin/coupon_templates/{template_id:str}/grants",
    status_code=200,
    request_max_body_size=COUPON_BYTES_MAX,
    problems=(TemplateNotFound, CouponsEnded, CouponsExhausted, PerBuyerMaxReached, IdempotencyKeyReused),
)
async def grant_coupons(
    template_id: PathId,
    data: JSONBody[Grant],
    services: ServicesDependency,
    staff: Staff,
    idempotency_key: IdempotencyKey = None,
) -> Response[Granted]:
    """Answers a Granted; a repeat with the same key gets the first one's."""
    return as_response(await grant(services, staff, template_id, idempotency_key, data))


@get("/shopping/coupons")
async def show_coupons(
    services: ServicesDependency, buyer: Buyer, limit: Limit = PAGE_LIMIT_DEFAULT, cursor: NumberCursor = ""
) -> Page[Coupon]:
    return await list_coupons(services.pool, buyer.sub, services.clock.now(), cursor, limit)


@get("/coupon/offers", roles=None, problems=(SkuNotFound,))
async def show_offers(
    services: ServicesDependency,
    visitor: Visitor,
    shop_id: QueryId = None,
    sku_id: QueryId = None,
    region: QueryRegion = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[OpenOffer]:
    """What can be claimed now, for a shop or a SKU, in a region. Works without login; with it says what the
    buyer can.
    """
    buyer_id = visitor.sub if visitor is not None and visitor.role == "buyer" else None
    return await open_offers(services, buyer_id, shop_id, sku_id, region, cursor, limit)


@get("/coupon/invite", problems=(TemplateNotFound,))
async def show_invitation(
    template_id: RequiredQueryId, services: ServicesDependency, buyer: Buyer
) -> Invitation:
    """The buyer's own code: who redeems it gets a coupon of the template, and so does who invited."""
    return await own_invitation(services.pool, buyer.sub, template_id)


ROUTES = [
    replace_template,
    show_template,
    show_templates,
    show_codes,
    grant_coupons,
    show_coupons,
    show_offers,
    show_invitation,
]
HOT_ROUTES: list[HotRoute[Any]] = [
    HotRoute(
        "/coupon/claim",
        ClaimRequest,
        Coupon,
        claim,
        problems=(
            TemplateNotFound,
            ClaimNotOpen,
            CouponsEnded,
            CouponsExhausted,
            PerBuyerMaxReached,
            RegionNotServed,
            IdempotencyKeyReused,
            OutcomeUnknown,
            (Unavailable, "overloaded"),
            (Unavailable, "stopping"),
            (Unavailable, "id_lease_lost"),
        ),
    ),
    HotRoute(
        "/coupon/redeem",
        Redeem,
        Coupon,
        redeem,
        problems=(
            CodeNotFound,
            CodeUsed,
            OwnInvitation,
            AlreadyInvited,
            CouponsEnded,
            CouponsExhausted,
            PerBuyerMaxReached,
            RegionNotServed,
            IdempotencyKeyReused,
        ),
    ),
]
