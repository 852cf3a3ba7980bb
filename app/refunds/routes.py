"""`POST /refund/refund`: the buyer of the order, or an operator."""

from __future__ import annotations

from litestar import Response, post
from litestar.params import JSONBody

from app.dependencies import AnyCaller, ServicesDependency
from app.lib.answers import as_response
from app.lib.errors import IdempotencyKeyReused
from app.lib.parameters import IdempotencyKey
from app.orders.errors import OrderNotFound
from app.refunds.request import ACCEPTED, OrderNotRefundable, request_refund
from app.refunds.schemas import RefundReply, RefundRequest
from app.refunds.share import RefundMismatch, RefundTooHigh


@post(
    "/refund/refund",
    status_code=ACCEPTED,
    problems=(OrderNotFound, OrderNotRefundable, RefundTooHigh, RefundMismatch, IdempotencyKeyReused),
)
async def refund(
    data: JSONBody[RefundRequest],
    services: ServicesDependency,
    caller: AnyCaller,
    idempotency_key: IdempotencyKey = None,
) -> Response[RefundReply]:
    """Whole, by line (quantity, amount), or an amount spread over the lines."""
    caller.require("buyer", "op")
    return as_response(await request_refund(services, caller, data, idempotency_key))


ROUTES = [refund]
