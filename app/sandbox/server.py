"""The sandbox provider's HTTP side: REST for the merchant, the pay page for the buyer, faults for tests.

Enters: `X-API-Key` on everything but the pay page and /healthz. Leaves: JSON, or the page. Must hold: a
fault is decided before and after the work, never in the middle of it.
"""

import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from litestar import Litestar, Request, Response, Router, delete, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.enums import RequestEncodingType
from litestar.handlers.base import BaseRouteHandler
from litestar.params import Body
from litestar.response import Redirect
from msgspec import Struct

from app.sandbox import faults, pay_page, payments
from app.sandbox.errors import SandboxError, Unauthorised
from app.sandbox.schemas import AuthoriseRequest, FaultRequest, OperationRequest, OperationTaken, Payment
from app.sandbox.store import Store
from app.sandbox.webhooks import Deliverer

# A stop waits no longer for open replies (a lost_reply fault may hold one for minutes).
STOP_WAIT_S = 1
# Longer than callers keep an idle connection (httpx: 5 s): whoever closes second fails no request.
KEEP_ALIVE_S = 75


class Config(Struct, frozen=True):
    host: str
    port: int
    data_dir: Path
    api_key: str
    webhook_secret: str
    callback: str  # where webhooks go if a payment names no notify_url, without a path
    public_url: str  # where the buyer's browser finds the pay page


def _guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    key = connection.headers.get("X-API-Key", "")
    if not hmac.compare_digest(key.encode(), connection.app.state.config.api_key.encode()):
        raise Unauthorised("X-API-Key is missing or wrong")


@post("/payments")
async def authorise(data: AuthoriseRequest, state: State) -> Payment:
    faults.before_work(state.store, "authorise", data.reference)
    payment = payments.authorise(state.store, data, state.config.callback, state.config.public_url)
    await faults.after_work(state.store, "authorise", data.reference)
    return payment


@get("/payments/{reference:str}")
async def status(reference: str, state: State) -> Payment:
    faults.before_work(state.store, "status", reference)
    payment = payments.describe(state.store, payments.find(state.store, reference), state.config.public_url)
    await faults.after_work(state.store, "status", reference)
    return payment


@post("/payments/{reference:str}/captures")
async def capture(reference: str, data: OperationRequest, state: State) -> OperationTaken:
    faults.before_work(state.store, "capture", reference)
    taken = payments.capture(state.store, reference, data)
    state.deliverer.wake()
    await faults.after_work(state.store, "capture", reference)
    return taken


@post("/payments/{reference:str}/cancels", status_code=200)
async def cancel(reference: str, state: State) -> Payment:
    faults.before_work(state.store, "cancel", reference)
    payment = payments.describe(state.store, payments.cancel(state.store, reference), state.config.public_url)
    await faults.after_work(state.store, "cancel", reference)
    return payment


@post("/payments/{reference:str}/refunds")
async def refund(reference: str, data: OperationRequest, state: State) -> OperationTaken:
    faults.before_work(state.store, "refund", reference)
    taken = payments.refund(state.store, reference, data)
    state.deliverer.wake()
    await faults.after_work(state.store, "refund", reference)
    return taken


@post("/faults", status_code=204)
async def order_fault(data: FaultRequest, state: State) -> None:
    faults.order(state.store, data)


@delete("/faults")
async def clear_faults(state: State) -> None:
    faults.clear(state.store)


class Pressed(Struct):
    button: str


@get("/pay/{psp_reference:str}", media_type="text/html")
async def show_page(psp_reference: str, state: State) -> str:
    return pay_page.render(pay_page.find_by_secret(state.store, psp_reference))


@post("/pay/{psp_reference:str}")
async def press_button(
    psp_reference: str,
    data: Annotated[Pressed, Body(media_type=RequestEncodingType.URL_ENCODED)],
    state: State,
) -> Redirect:
    """Answers 303, so that reloading the page does not press again."""
    pay_page.press(state.store, psp_reference, data.button)
    state.deliverer.wake()
    return Redirect(f"/pay/{psp_reference}", status_code=303)


@get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


def _answer_error(_: Request[Any, Any, Any], error: SandboxError) -> Response[dict[str, Any]]:
    return Response(
        {"status": error.status, "code": error.code, "detail": str(error)}, status_code=error.status
    )


def create_app(config: Config) -> Litestar:
    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        store = Store(config.data_dir)
        deliverer = Deliverer(store, config.webhook_secret)
        app.state.update({"config": config, "store": store, "deliverer": deliverer})
        await deliverer.start()
        yield
        await deliverer.stop()
        store.close()

    rest = Router(
        "/v1", guards=[_guard], route_handlers=[authorise, status, capture, cancel, refund], tags=["payments"]
    )
    control = Router("/control", guards=[_guard], route_handlers=[order_fault, clear_faults])
    return Litestar(
        [rest, control, show_page, press_button, healthz],
        lifespan=[lifespan],
        exception_handlers={SandboxError: _answer_error},
        openapi_config=None,
        logging_config=None,
    )


def serve(config: Config) -> None:
    """Serves until SIGINT or SIGTERM."""
    uvicorn.run(
        create_app(config),
        host=config.host,
        port=config.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=STOP_WAIT_S,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
