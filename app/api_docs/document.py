"""The OpenAPI document, read from the routes themselves.

In: the application. Out: a plain dict. The bodies' schemas come from msgspec, which also decodes them, so
they say exactly what is accepted. Each operation names its errors: those that its route declares
(`problems=`), and those that follow from what it takes (a body, a login, an Idempotency-Key).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter, QueryParameter
from litestar.types import Empty
from litestar.typing import FieldDefinition
from litestar.utils.typing import make_non_optional_union

from app.api_docs.examples import EXAMPLES
from app.api_docs.problems import PROBLEM_SCHEMA, problem_responses
from app.api_docs.requests import REQUESTS
from app.events_in.signature import SignatureInvalid
from app.lib.errors import (
    AppError,
    Declared,
    Forbidden,
    IdempotencyKeyReused,
    InvalidRequest,
    TooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from app.pricing.schemas import CartRequest

INFO = {
    "title": "Rushcart",
    "version": "1",
    "description": "Prices a cart, finds the coupons that fit, takes the order, takes the money, "
    "gives it back. Amounts are integers in the currency's minor unit; ids are strings; times are UTC.",
}
ROLES_OF = {"buyer": ("buyer",), "staff": ("op", "merchant"), "op": ("op",), "caller": ()}
JSON = "application/json"
REF = "#/components/schemas/{name}"
SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "`sub` (buyer id), `role` (buyer, merchant with `shop_id`, op, service), `exp`.",
    },
    "signature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Signature",
        "description": '`t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`, five minutes\' tolerance.',
    },
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A repeat with the same content gets the first answer, with `Idempotent-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}
# Of parameters that mean the same wherever they stand.
DESCRIBED = {
    "limit": {"description": "How many are shown at most."},
    "cursor": {"description": "The `next_cursor` of the page before; what has not its form is 400."},
}
# What a cart costs may depend on it.
CHANNEL: dict[str, Any] = {
    "name": "X-Channel",
    "in": "header",
    "required": False,
    "description": "What the app is, such as `ios` or `mini_program`: some promotions ask for it.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 64},
}
REPLAYED = {"Idempotent-Replayed": {"schema": {"type": "string", "const": "true"}}}


def document(app: Litestar) -> dict[str, Any]:
    """The whole document, version 3.1."""
    handlers = list(_handlers(app))
    schemas = _Schemas(handler for _, _, handler in handlers)
    paths: dict[str, Any] = {}
    for path, method, handler in handlers:
        paths.setdefault(path, {})[method] = _operation(path, method, handler, schemas)
    return {
        "openapi": "3.1.0",
        "info": INFO,
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {**schemas.components, "Problem": PROBLEM_SCHEMA},
            "securitySchemes": SECURITY_SCHEMES,
        },
    }


def _handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items():
            if handler.resolve_include_in_schema():
                yield route.path_format, method.lower(), handler


def _operation(path: str, method: str, handler: HTTPRouteHandler, schemas: _Schemas) -> dict[str, Any]:
    """One call: what it does, takes, gives and refuses."""
    name = handler.handler_name.replace("_", " ")
    operation: dict[str, Any] = {
        "operationId": f"{method}{path.replace('/', '_').replace('{', '').replace('}', '')}",
        "summary": name[0].upper() + name[1:],
        "description": inspect.getdoc(handler.fn) or "",
        "tags": [handler.fn.__module__.split(".")[1].replace("_", " ")],
        "security": _security(handler),
        "parameters": _parameters(handler, schemas),
    }
    example = EXAMPLES.get(path)
    if (body := _body(handler)) is not None:
        sent = example.request if example else REQUESTS.get(f"{method.upper()} {path}")
        content = schemas.content(body, sent)
        operation["requestBody"] = {"required": True, "content": content}
    success: dict[str, Any] = {"description": HTTPStatus(handler.status_code).phrase}
    media_type, answer = _answer(handler)
    if media_type:
        success["content"] = schemas.content(answer, example and example.answer, media_type)
    if _once(handler):
        success["headers"] = REPLAYED
    operation["responses"] = {str(handler.status_code): success}
    for status, also in (handler.responses or {}).items():
        told: dict[str, Any] = {"description": also.description}
        if also.data_container is not None:
            told["content"] = schemas.content(also.data_container, None, also.media_type)
        operation["responses"][str(status)] = told
    for code, problem in problem_responses(_problems(operation, handler)).items():
        page = operation["responses"].get(code, {"content": {}})  # what people get in the problem's place
        operation["responses"][code] = {**problem, "content": problem["content"] | page["content"]}
    return operation


def _security(handler: HTTPRouteHandler) -> list[dict[str, list[str]]]:
    if SignatureInvalid in _declared(handler):
        return [{"signature": []}]
    if _roles(handler) is not None:
        return [{"bearer": []}]
    # A call that works without login may still answer more to somebody.
    return [{}, {"bearer": []}] if _reads_token(handler) else []


def _reads_token(handler: HTTPRouteHandler) -> bool:
    """Whether it matters who calls, though it may be nobody."""
    return (
        _roles(handler) is not None
        or "roles" in handler.opt
        or "visitor" in handler.parsed_fn_signature.parameters
    )


def _once(handler: HTTPRouteHandler) -> bool:
    """Whether the call has an Idempotency-Key."""
    return IdempotencyKeyReused in _declared(handler)


def _parameters(handler: HTTPRouteHandler, schemas: _Schemas) -> list[dict[str, Any]]:
    """Those of the path and the query; and the one header that some calls must have."""
    parameters: list[dict[str, Any]] = [
        {
            "name": definition.name or name,
            "in": definition.param_type.value,
            "required": field.default is Empty,
            "schema": schemas.of(_bounded(field)),
            **DESCRIBED.get(name, {}),
        }
        for name, field in handler.parsed_fn_signature.parameters.items()
        if isinstance(definition := field.kwarg_definition, PathParameter | QueryParameter)
    ]
    if _once(handler):
        parameters.append(IDEMPOTENCY_KEY)
    if isinstance(_body(handler), type) and issubclass(_body(handler), CartRequest):
        parameters.append(CHANNEL)
    return parameters


def _bounded(field: FieldDefinition) -> Any:
    """A parameter's type as msgspec writes it. That it may be left out is said beside it."""
    limits = field.kwarg_definition
    assert isinstance(limits, PathParameter | QueryParameter)
    given: dict[str, Any] = {
        "ge": limits.ge,
        "le": limits.le,
        "min_length": limits.min_length,
        "max_length": limits.max_length if limits.max_items is None else limits.max_items,
        "pattern": limits.pattern,
    }
    found = make_non_optional_union(field.annotation) if field.is_optional else field.annotation
    meta = msgspec.Meta(**{name: value for name, value in given.items() if value is not None})
    # A hot route's query is a Struct: its bounds stand in its types.
    return Annotated[found, meta, *(each for each in field.metadata if isinstance(each, msgspec.Meta))]


def _body(handler: HTTPRouteHandler) -> Any:
    field = handler.parsed_fn_signature.parameters.get("data")
    return None if field is None else field.annotation


def _answer(handler: HTTPRouteHandler) -> tuple[str, Any]:
    """The media type and the type of what is answered.

    JSON of what the handler returns, or what its route names (`answers=`; None: bytes without a schema).
    """
    if "answers" in handler.opt:
        named: tuple[str, Any] = handler.opt["answers"]
        return named
    found = _json(handler)
    return ("", None) if found is None else (JSON, found)


def _json(handler: HTTPRouteHandler) -> Any:
    """None where the answer is not JSON."""
    field = handler.parsed_fn_signature.return_type
    if field.is_subclass_of(Response):
        inner = field.inner_types[0].annotation if field.inner_types else None
        return inner if inspect.isclass(inner) and issubclass(inner, msgspec.Struct) else None
    return None if field.annotation in (None, type(None)) else field.annotation


def _roles(handler: HTTPRouteHandler) -> tuple[str, ...] | None:
    """The roles that may call; () stands for all of them, None for everybody."""
    if "roles" in handler.opt:
        roles: tuple[str, ...] | None = handler.opt["roles"]
        return roles
    return next((ROLES_OF[name] for name in handler.parsed_fn_signature.parameters if name in ROLES_OF), None)


def _declared(handler: HTTPRouteHandler) -> tuple[Declared, ...]:
    declared: tuple[Declared, ...] = handler.opt.get("problems", ())
    return declared


def _problems(operation: dict[str, Any], handler: HTTPRouteHandler) -> list[tuple[type[AppError], str]]:
    declared: list[Declared] = []
    if "requestBody" in operation or operation["parameters"]:
        declared.append(InvalidRequest)
    if "requestBody" in operation:
        declared += [(InvalidRequest, "not_json"), TooLarge]
    if _once(handler):
        declared += [(InvalidRequest, "idempotency_key_missing"), (InvalidRequest, "idempotency_key_invalid")]
    roles = _roles(handler)
    if _reads_token(handler):  # a buyer's calls are counted also where they are for staff
        declared += [Unauthorized, TooManyRequests]
    if roles:
        declared.append(Forbidden)
    declared += _declared(handler)
    declared += [Unavailable, (Unavailable, "ledger_down"), AppError]
    return [one if isinstance(one, tuple) else (one, one.code) for one in declared]


class _Schemas:
    """The JSON Schemas of all bodies and parameters, each Struct once under its name."""

    def __init__(self, handlers: Iterable[HTTPRouteHandler]) -> None:
        types = {repr(found): found for handler in handlers for found in _types(handler)}
        schemas, self.components = msgspec.json.schema_components(types.values(), ref_template=REF)
        self._of = dict(zip(types, schemas, strict=True))

    def of(self, found: Any) -> dict[str, Any]:
        return self._of[repr(found)]

    def content(self, found: Any, example: Any, media_type: str = JSON) -> dict[str, Any]:
        media = {} if found is None else {"schema": self.of(found)}
        return {media_type: media if example is None else media | {"example": example}}


def _types(handler: HTTPRouteHandler) -> Iterator[Any]:
    yield from (found for found in (_body(handler), _answer(handler)[1]) if found is not None)
    also = (response.data_container for response in (handler.responses or {}).values())
    yield from (found for found in also if found is not None)
    for field in handler.parsed_fn_signature.parameters.values():
        if isinstance(field.kwarg_definition, PathParameter | QueryParameter):
            yield _bounded(field)
