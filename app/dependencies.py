"""What a plain handler may ask for by name.

`services: ServicesDependency`, `visitor: Visitor` (None where nobody has logged in), `buyer: Buyer`,
`staff: Staff`, `op: Operator`, `caller: AnyCaller`; the last four refuse whoever has not logged in or has
another role.
"""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from app.bootstrap import Services
from app.lib.auth import Caller

AnyRequest = Request[Any, Any, Any]

ServicesDependency = NamedDependency[Services]
AnyCaller = NamedDependency[Caller]
Visitor = NamedDependency[Caller | None]
Buyer = NamedDependency[Caller]
Staff = NamedDependency[Caller]
Operator = NamedDependency[Caller]


def provide_services(state: State) -> Services:
    services: Services = state.services
    return services


def provide_caller(request: AnyRequest, state: State) -> Caller:
    """Whoever is logged in. Raises Unauthorized, TooManyRequests."""
    caller: Caller = state.services.authenticator.caller(request.headers.get("authorization"))
    if caller.role == "buyer":
        state.services.rate_limiter.take(caller.sub)
    return caller


def provide_visitor(request: AnyRequest, state: State) -> Caller | None:
    """Whoever it is. Raises Unauthorized for a token that is not valid, TooManyRequests."""
    if "authorization" in request.headers:
        return provide_caller(request, state)
    state.services.anonymous_limiter.take(request.client.host if request.client else "?")
    return None


def provide_buyer(request: AnyRequest, state: State) -> Caller:
    """A buyer. Raises Unauthorized, Forbidden, TooManyRequests."""
    return provide_caller(request, state).require("buyer")


def provide_staff(request: AnyRequest, state: State) -> Caller:
    """An operator, or a merchant for its own shop (`caller.require_shop`). Raises Unauthorized, Forbidden."""
    return provide_caller(request, state).require("op", "merchant")


def provide_op(request: AnyRequest, state: State) -> Caller:
    """An operator. Raises Unauthorized, Forbidden."""
    return provide_caller(request, state).require("op")


DEPENDENCIES = {
    "services": Provide(provide_services, sync_to_thread=False),
    "visitor": Provide(provide_visitor, sync_to_thread=False),
    "caller": Provide(provide_caller, sync_to_thread=False),
    "buyer": Provide(provide_buyer, sync_to_thread=False),
    "staff": Provide(provide_staff, sync_to_thread=False),
    "op": Provide(provide_op, sync_to_thread=False),
}
