"""The HTTP application: all routes, the errors as problem documents, the OpenAPI document.

`create_app(settings)` gives the ASGI application; `ROUTES` and `HOT_ROUTES` list what each capability
offers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from app.addresses import routes as addresses
from app.api_docs import routes as api_docs
from app.bootstrap import open_services
from app.buyers import routes as buyers
from app.campaigns import routes as campaigns
from app.cart import routes as cart
from app.catalog import routes as catalog
from app.charges import routes as charges
from app.checkout import routes as checkout
from app.coupons import routes as coupons
from app.dependencies import DEPENDENCIES
from app.events_in import routes as events_in
from app.flash_sales import routes as flash_sales
from app.gift_cards import routes as gift_cards
from app.groups import routes as groups
from app.health import routes as health
from app.lib.clock import Clock
from app.lib.errors import AppError, InvalidRequest, NotFound, TooLarge, Unavailable
from app.lib.garbage import collect_rarely
from app.lib.hot import BODY_BYTES_MAX, Front, HotRoute, problem_body, problem_headers
from app.lib.huge_pages import use_huge_pages
from app.lib.postgres import TRANSIENT_ERRORS
from app.lib.strict_request import StrictRequest
from app.orders import routes as orders
from app.payments import routes as payments
from app.points import routes as points
from app.price_changes import routes as price_changes
from app.pricing import routes as pricing
from app.promotions import routes as promotions
from app.red_packets import routes as red_packets
from app.refunds import routes as refunds
from app.seats import routes as seats
from app.settings import Settings
from app.share_page import routes as share_page
from app.showcase import routes as showcase
from app.stock import routes as stock

log = structlog.get_logger()

ROUTES: list[ControllerRouterHandler] = [
    *health.ROUTES,
    *api_docs.ROUTES,
    *catalog.ROUTES,
    *charges.ROUTES,
    *promotions.ROUTES,
    *coupons.ROUTES,
    *points.ROUTES,
    *gift_cards.ROUTES,
    *red_packets.ROUTES,
    *stock.ROUTES,
    *seats.ROUTES,
    *flash_sales.ROUTES,
    *campaigns.ROUTES,
    *showcase.ROUTES,
    *buyers.ROUTES,
    *groups.ROUTES,
    *share_page.ROUTES,
    *cart.ROUTES,
    *addresses.ROUTES,
    *orders.ROUTES,
    *price_changes.ROUTES,
    *payments.ROUTES,
    *refunds.ROUTES,
    *events_in.ROUTES,
]
HOT_ROUTES: list[HotRoute[Any]] = [
    *pricing.HOT_ROUTES,
    *cart.HOT_ROUTES,
    *coupons.HOT_ROUTES,
    *checkout.HOT_ROUTES,
    *showcase.HOT_ROUTES,
    *groups.HOT_ROUTES,
]


def create_app(settings: Settings, *, clock: Clock | None = None) -> Front:
    """The ASGI application; its lifespan opens and closes the services."""

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with open_services(settings, name="api", clock=clock) as services:
            front.bind(services)
            collect_rarely()
            use_huge_pages()
            yield

    front = Front(create_framework(lifespan), HOT_ROUTES)
    return front


def create_framework(lifespan: Any) -> Litestar:
    return Litestar(
        route_handlers=[*ROUTES, *(route.documented() for route in HOT_ROUTES)],
        lifespan=[lifespan],
        request_class=StrictRequest,
        dependencies=DEPENDENCIES,
        exception_handlers={
            AppError: answer_app_error,
            HTTPException: answer_framework_error,
            asyncpg.CharacterNotInRepertoireError: answer_bad_text,
            asyncpg.UntranslatableCharacterError: answer_bad_text,
            **dict.fromkeys(TRANSIENT_ERRORS, answer_ledger_down),
            Exception: answer_unexpected,
        },
        request_max_body_size=BODY_BYTES_MAX,
        openapi_config=None,  # app/api_docs
        debug=False,
        logging_config=None,  # app/lib/log.py
    )


def answer_problem(error: AppError) -> Response[bytes]:
    headers = {name.decode(): value.decode() for name, value in problem_headers(error)}
    media_type = headers.pop("content-type")
    return Response(problem_body(error), status_code=error.status, media_type=media_type, headers=headers)


def answer_app_error(_: Request[Any, Any, Any], error: AppError) -> Response[bytes]:
    return answer_problem(error)


def answer_framework_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """The framework's own refusals, in our words."""
    if error.status_code == 404:
        return answer_problem(NotFound("no such path"))
    if error.status_code == 413:
        return answer_problem(TooLarge(f"at most {BODY_BYTES_MAX} bytes"))
    if error.status_code == 405:
        return answer_problem(MethodNotAllowed())
    if error.status_code >= 500:
        log.error("framework_failed", error=repr(error))
        return answer_problem(AppError())
    return answer_problem(InvalidRequest(_explain(error)))


def _explain(error: HTTPException) -> str:
    """The framework's words with the key and reason of each fault, without its internals."""
    faults = error.extra if isinstance(error.extra, list) else []
    named = "; ".join(_name(fault) for fault in faults[:10])
    cause = error.__cause__ or error.__context__
    if not named and isinstance(cause, msgspec.DecodeError | RecursionError):
        named = str(cause)
    return named or error.detail


def _name(fault: dict[str, Any]) -> str:
    key, message = fault.get("key", "body"), fault.get("message", "")
    if (key, message) == ("data", "'data'"):  # its word for a body that is not there
        return "the request needs a JSON body"
    return f"{key}: {message}"


class MethodNotAllowed(AppError):
    status = 405
    code = "method_not_allowed"
    title = "This path does not take this method"


def answer_bad_text(_: Request[Any, Any, Any], __: Exception) -> Response[bytes]:
    return answer_problem(InvalidRequest("text must not contain \\u0000"))


def answer_ledger_down(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("ledger_down", route=request.scope.get("path"), error=repr(error))
    return answer_problem(Unavailable("the ledger does not answer", code="ledger_down"))


def answer_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    if isinstance(error, RecursionError):
        return answer_problem(InvalidRequest("the JSON is nested too deep"))
    log.error("request_failed", route=request.scope.get("path"), exc_info=error)
    return answer_problem(AppError())
