"""Points: a buyer's own, and what an operator sets and gives."""

from __future__ import annotations

from litestar import Response, get, post, put
from litestar.params import JSONBody

from app.dependencies import Buyer, Operator, ServicesDependency
from app.lib.answers import as_response
from app.lib.errors import IdempotencyKeyReused
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import IdempotencyKey, Limit, NumberCursor
from app.points.documents import PointsRules
from app.points.grant import grant_points
from app.points.read import list_points, read_points
from app.points.rules import put_points_rules, read_points_rules
from app.points.schemas import GrantedPoints, GrantPoints, PointsBalance, PointsEntry

# A grant to 10,000 buyers of up to 64 characters each.
GRANT_BYTES_MAX = 1 << 20


@put("/admin/points_rules")
async def replace_points_rules(
    data: JSONBody[PointsRules],
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - refuses whoever is none
) -> PointsRules:
    """Without rules, points are neither earned nor taken."""
    return await put_points_rules(services.pool, services.prices, data)


@get("/admin/points_rules")
async def show_points_rules(
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - refuses whoever is none
) -> PointsRules:
    return await read_points_rules(services.pool)


@post(
    "/admin/points/grants",
    status_code=200,
    request_max_body_size=GRANT_BYTES_MAX,
    problems=(IdempotencyKeyReused,),
)
async def give_points(
    data: JSONBody[GrantPoints],
    services: ServicesDependency,
    op: Operator,
    idempotency_key: IdempotencyKey = None,
) -> Response[GrantedPoints]:
    """The same number for each buyer named, or for none of them."""
    return as_response(await grant_points(services, op, idempotency_key, data))


@get("/points/balance")
async def show_points(services: ServicesDependency, buyer: Buyer) -> PointsBalance:
    return await read_points(services.pool, buyer.sub, services.clock.now())


@get("/points/entries")
async def show_points_entries(
    services: ServicesDependency, buyer: Buyer, limit: Limit = PAGE_LIMIT_DEFAULT, cursor: NumberCursor = ""
) -> Page[PointsEntry]:
    """Every change, the newest first."""
    return await list_points(services.pool, buyer.sub, cursor, limit)


ROUTES = [replace_points_rules, show_points_rules, give_points, show_points, show_points_entries]
