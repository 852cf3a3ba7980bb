"""Stock by hand: `op`, or `merchant` for its own shop."""

from __future__ import annotations

from litestar import Response, get, post, put
from litestar.params import JSONBody

from app.dependencies import ServicesDependency, Staff
from app.lib.answers import as_response
from app.lib.errors import Conflict, IdempotencyKeyReused, NotFound
from app.lib.parameters import IdempotencyKey, PathId
from app.stock.administer import adjust_stock, read_stock, set_stock
from app.stock.schemas import AdjustStock, SetStock, StockLevel

PROBLEMS = (
    (NotFound, "sku_not_found"),
    (Conflict, "below_reserved"),
    (Conflict, "on_hand_too_large"),
)


@get("/admin/skus/{sku_id:str}/stock", problems=((NotFound, "sku_not_found"),))
async def show_stock(sku_id: PathId, services: ServicesDependency, staff: Staff) -> StockLevel:
    return await read_stock(services.pool, staff, sku_id)


@put("/admin/skus/{sku_id:str}/stock", problems=(*PROBLEMS, (Conflict, "version_passed")))
async def replace_stock(
    sku_id: PathId, data: JSONBody[SetStock], services: ServicesDependency, staff: Staff
) -> StockLevel:
    return await set_stock(services.pool, services.gate, staff, sku_id, data)


@post(
    "/admin/skus/{sku_id:str}/stock/adjust",
    status_code=200,
    problems=(*PROBLEMS, IdempotencyKeyReused),
)
async def change_stock(
    sku_id: PathId,
    data: JSONBody[AdjustStock],
    services: ServicesDependency,
    staff: Staff,
    idempotency_key: IdempotencyKey = None,
) -> Response[StockLevel]:
    """Answers a StockLevel; a repeat with the same key gets the first one's."""
    answer = await adjust_stock(services.pool, services.gate, staff, sku_id, idempotency_key, data)
    return as_response(answer)


ROUTES = [show_stock, replace_stock, change_stock]
