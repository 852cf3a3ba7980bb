"""`POST /admin/orders/{order_id}/price_change`: an operator, or a merchant for its own shop's order."""

from __future__ import annotations

from litestar import Response, post
from litestar.params import JSONBody

from app.dependencies import ServicesDependency, Staff
from app.lib.answers import as_response
from app.lib.errors import Conflict, IdempotencyKeyReused
from app.lib.parameters import IdempotencyKey, PathId
from app.orders.errors import OrderNotFound
from app.price_changes.change import change_price
from app.price_changes.errors import (
    PaymentInProgress,
    PriceChangeMismatch,
    PriceChangeTooHigh,
    PriceNotChangeable,
    SeveralShops,
)
from app.price_changes.schemas import PriceChangeReply, PriceChangeRequest


@post(
    "/admin/orders/{order_id:str}/price_change",
    status_code=200,
    problems=(
        OrderNotFound,
        SeveralShops,
        PriceNotChangeable,
        PaymentInProgress,
        PriceChangeTooHigh,
        PriceChangeMismatch,
        (Conflict, "out_of_stock"),
        IdempotencyKeyReused,
    ),
)
async def price_change(
    order_id: PathId,
    data: JSONBody[PriceChangeRequest],
    services: ServicesDependency,
    staff: Staff,
    idempotency_key: IdempotencyKey = None,
) -> Response[PriceChangeReply]:
    """Take something off an unpaid order: whole, by line, or off its freight.

    It takes the place of an earlier change; one of nothing takes it back. The buyer's open attempts to pay
    are called back, and an order that comes to zero is paid at once.
    """
    return as_response(await change_price(services, staff, order_id, data, idempotency_key))


ROUTES = [price_change]
