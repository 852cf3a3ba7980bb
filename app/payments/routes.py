"""A buyer's calls around paying an order."""

from __future__ import annotations

from litestar import Response, get, post
from litestar.params import JSONBody

from app.dependencies import Buyer, ServicesDependency
from app.lib.answers import as_response
from app.lib.errors import Conflict, IdempotencyKeyReused
from app.lib.parameters import IdempotencyKey, PathNumber
from app.orders.errors import OrderNotFound
from app.payments.channels import ChannelUnknown
from app.payments.offer import note_paid, offer_channels
from app.payments.pay import CREATED, OrderNotPayable, pay
from app.payments.provider import ChannelDown, ChannelRefused
from app.payments.schemas import PaidFromClientReply, PaymentReply, PaymentRequest, PayOffer


@get("/shopping/orders/{order_id:str}/pay_cm", problems=(OrderNotFound,))
async def pay_cm(order_id: PathNumber, services: ServicesDependency, buyer: Buyer) -> PayOffer:
    """How the order can be paid: channels, methods, stored cards, channel discounts."""
    return await offer_channels(services, buyer, int(order_id))


@post(
    "/shopping/orders/{order_id:str}/payments",
    status_code=CREATED,
    problems=(
        OrderNotFound,
        OrderNotPayable,
        (OrderNotPayable, "too_many_attempts"),
        ChannelUnknown,
        ChannelDown,
        ChannelRefused,
        (Conflict, "out_of_stock"),
        IdempotencyKeyReused,
    ),
)
async def payments(
    order_id: PathNumber,
    data: JSONBody[PaymentRequest],
    services: ServicesDependency,
    buyer: Buyer,
    idempotency_key: IdempotencyKey = None,
) -> Response[PaymentReply]:
    """Choose a channel; `action` says what the app does next."""
    return as_response(await pay(services, buyer, int(order_id), data, idempotency_key))


@post("/shopping/orders/{order_id:str}/paid_from_client", status_code=200, problems=(OrderNotFound,))
async def paid_from_client(
    order_id: PathNumber, services: ServicesDependency, buyer: Buyer
) -> PaidFromClientReply:
    """The app says it paid: clears the cart and asks the channel; is never believed as payment."""
    return await note_paid(services, buyer, int(order_id))


ROUTES = [pay_cm, payments, paid_from_client]
