"""`POST /event/…`: what payment channels, carriers and third parties tell us.

Every path takes every type: the type decides who reads it. The guard verifies the signature of the raw body
before anything of it is decoded.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, post
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody

from app.dependencies import AnyRequest, ServicesDependency
from app.events_in.receive import STORED_ONLY, TAKEN, receive
from app.events_in.schemas import InboundEvent, Received
from app.events_in.signature import SignatureInvalid, verify

PATHS = [
    "/event/payment_notified_cm",
    "/event/payment_failed_cm",
    "/event/refund_notified",
    "/event/purchased",
    "/event/group_update",
    "/event/logistics_updated",
    "/event/fulfilment_updated",
]


async def signed(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Raises SignatureInvalid."""
    assert isinstance(connection, Request), "events come by HTTP"
    services = connection.app.state.services
    body = await connection.body()
    header = connection.headers.get("x-signature")
    verify(services.settings.event_secrets, header, body, services.clock.now().timestamp())


@post(
    PATHS,
    status_code=TAKEN,
    guards=[signed],
    problems=(SignatureInvalid,),
    responses={STORED_ONLY: ResponseSpec(Received, description="Stored; of a type that nobody reads yet")},
)
async def take_event(
    data: JSONBody[InboundEvent], request: AnyRequest, services: ServicesDependency
) -> Response[Received]:
    """Signed by `X-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`.

    `group_update` carries `group_id`, `status` and `reason`: `failed` ends an open group now (after the grace
    for payments that were made in time; a group that is full by then succeeds), `changed` has it read anew.
    """
    status, received = await receive(services, data, await request.body())
    return Response(received, status_code=status)


ROUTES = [take_event]
