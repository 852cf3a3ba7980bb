"""The thin way in for the few hottest calls: decode, who, verb, encode, problem.

The usual typed handler costs about 100 µs a request in the framework alone, more than pricing a cart. A
`HotRoute` is answered by `Front` before the framework sees the request; everything else is passed on to it.
`documented` gives the framework the same route for the OpenAPI document, so both are described alike.
"""

from __future__ import annotations

import inspect
import itertools
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar
from urllib.parse import parse_qsl

import msgspec
import structlog
from litestar import Litestar, get, post
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter
from litestar.types import HTTPScope, Receive, Scope, Send
from litestar.utils import normalize_path

from app.lib import metrics
from app.lib.auth import Caller
from app.lib.errors import AppError, Declared, InvalidRequest, TooLarge, Unavailable
from app.lib.idempotency import Answer
from app.lib.postgres import TRANSIENT_ERRORS

if TYPE_CHECKING:
    from app.bootstrap import Services

log = structlog.get_logger()

BODY_BYTES_MAX = 64 * 1024
# As an id's: a rule names channels as it names other things.
CHANNEL_LENGTH_MAX = 64
# An address can stand for a whole mobile network: not logged in, it may call this much more than one buyer.
ANONYMOUS_SHARE = 20

# By name in lower case; of a header that came twice the last.
Headers = dict[bytes, bytes]
# Address and port, where the server knows them.
Client = tuple[str, int] | None
Body = TypeVar("Body", bound=msgspec.Struct)
_JSON, _REPLAYED = (b"content-type", b"application/json"), (b"idempotent-replayed", b"true")
_problem_encoder = msgspec.json.Encoder()
_request_ids = itertools.count()
_process_part = f"{os.getpid():x}-{int(time.time()):x}"


class HotRequest(msgspec.Struct, Generic[Body], gc=False):
    """What a verb gets: who calls (None when not logged in) and from where, the decoded body, two headers."""

    caller: Caller | None
    body: Body
    idempotency_key: str | None
    # X-Channel: what the app says that it is, for rules by channel
    channel: str | None = None
    client: Client = None


class HotRoute(Generic[Body]):
    """A POST route with a typed JSON body, or a GET route whose query is `body`, without the framework."""

    def __init__(
        self,
        path: str,
        body: type[Body],
        answer: type[Any],
        verb: Callable[[Services, HotRequest[Body]], Awaitable[Answer]],
        *,
        method: Literal["POST", "GET"] = "POST",
        status: int = 200,
        roles: tuple[str, ...] | None = ("buyer",),
        problems: tuple[Declared, ...] = (),
    ) -> None:
        """`roles` None: works without login too."""
        self.method = method
        self.path = path
        self.body = body
        self.answer = answer
        self.verb = verb
        self.status = status
        self.roles = roles
        self.problems = problems
        self._decode = msgspec.json.Decoder(body).decode

    async def run(self, services: Services, headers: Headers, client: Client, raw: bytes) -> Answer:
        """Raises what the verb raises, TooLarge beyond 64 KiB, and why it is not called at all."""
        caller = self._who(services, headers.get(b"authorization"), client)
        if len(raw) > BODY_BYTES_MAX:
            raise TooLarge(f"at most {BODY_BYTES_MAX} bytes")
        key = headers.get(b"idempotency-key")
        channel = headers.get(b"x-channel")
        body = self.decode_query(raw) if self.method == "GET" else self.decode(raw)
        return await self.verb(
            services,
            HotRequest(
                caller,
                body,
                None if key is None else key.decode("latin-1"),
                None if channel is None else _channel(channel),
                client,
            ),
        )

    def _who(self, services: Services, authorization: bytes | None, client: Client) -> Caller | None:
        if authorization is None and self.roles is None:
            services.anonymous_limiter.take(address_of(client))
            return None
        header = None if authorization is None else authorization.decode("latin-1")
        caller = services.authenticator.caller(header)
        if self.roles is not None:
            caller.require(*self.roles)
        if caller.role == "buyer":
            services.rate_limiter.take(caller.sub)
        return caller

    def documented(self) -> HTTPRouteHandler:
        """The same route for the framework's OpenAPI document; `Front` answers before it is reached."""

        async def handler(**_: Any) -> Any:
            raise AssertionError(f"{self.path} is answered by Front")

        handler.__name__ = self.verb.__name__
        handler.__doc__ = self.verb.__doc__
        handler.__module__ = self.verb.__module__
        taken = list(self._parameters())
        handler.__annotations__ = {each.name: each.annotation for each in taken} | {"return": self.answer}
        handler.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
        route = get if self.method == "GET" else post
        return route(self.path, status_code=self.status, roles=self.roles, problems=self.problems)(handler)

    def _parameters(self) -> Iterator[inspect.Parameter]:
        """What the framework is told that the call takes."""
        named = inspect.Parameter.KEYWORD_ONLY
        if self.method == "POST":
            json_body: Any = JSONBody  # known at run time only
            yield inspect.Parameter("data", named, annotation=json_body[self.body])
            return
        for field in msgspec.structs.fields(self.body):
            default = inspect.Parameter.empty if field.required else field.default
            query: Any = Annotated[field.type, QueryParameter()]
            yield inspect.Parameter(field.name, named, default=default, annotation=query)

    def decode(self, raw: bytes) -> Body:
        """Raises InvalidRequest naming what is wrong and where."""
        return decode(self._decode, raw)

    def decode_query(self, raw: bytes) -> Body:
        """Raises InvalidRequest; of a parameter that comes twice the last counts."""
        given = dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))
        try:
            return msgspec.convert(given, self.body, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error)) from None


def address_of(client: Client) -> str:
    """What stands for a caller who has not logged in."""
    return client[0] if client else "?"


def _channel(header: bytes) -> str:
    """Raises InvalidRequest."""
    channel = header.decode("latin-1")
    if not (1 <= len(channel) <= CHANNEL_LENGTH_MAX and channel.isascii() and channel.isprintable()):
        raise InvalidRequest(f"X-Channel has 1 to {CHANNEL_LENGTH_MAX} printable characters")
    return channel


def decode(decoder: Callable[[bytes], Body], raw: bytes) -> Body:
    """Decode a JSON body. Raises InvalidRequest naming what is wrong and where."""
    if b"\\u0000" in raw:  # Postgres cannot hold it
        raise InvalidRequest("text must not contain \\u0000")
    try:
        return decoder(raw)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"the body is not JSON: {error}", code="not_json") from None
    except RecursionError:
        raise InvalidRequest("the JSON is nested too deep") from None


async def read_body(receive: Receive) -> bytes | None:
    """The whole body; of one beyond 64 KiB so much that this can be seen. None: the caller hung up before
    its end, and half a request may read like a whole one."""
    body = b""
    more = True
    while more and len(body) <= BODY_BYTES_MAX:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def problem_body(error: AppError) -> bytes:
    return _problem_encoder.encode(error.problem())


def problem_headers(error: AppError) -> list[tuple[bytes, bytes]]:
    headers = [(b"content-type", b"application/problem+json")]
    if (retry_after := error.members.get("retry_after_s")) is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    return headers


class Front:
    """The ASGI application: hot routes here, the rest in the framework; both measured and named alike."""

    def __init__(self, framework: Litestar, hot_routes: list[HotRoute[Any]]) -> None:
        self.framework = framework
        self._hot = {route.path.encode(): route for route in hot_routes if route.method == "POST"}
        self._hot_reads = {route.path: route for route in hot_routes if route.method == "GET"}
        self._observers: dict[tuple[str, int], Any] = {}
        self.services: Services | None = None

    def bind(self, services: Services) -> None:
        """Hand the open services to both ways in."""
        self.services = self.framework.state.services = services

    def hot_route(self, path: bytes) -> HotRoute[Any] | None:
        """The one that answers a POST."""
        return self._hot.get(path)

    async def end_streams(self) -> None:
        """Answers that go on for as long as somebody watches end now: the server is about to stop."""
        if self.services is not None:
            await self.services.watching.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.framework(scope, receive, send)
            return
        route = self._hot_route_of(scope)
        if route is None or self.services is None:
            await self._pass_on(scope, receive, send, time.perf_counter())
            return
        raw = scope["query_string"] if route.method == "GET" else await read_body(receive)
        if raw is None:
            return
        status, headers, body = await self.answer(route, dict(scope["headers"]), scope["client"], raw)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body, "more_body": False})

    def _hot_route_of(self, scope: HTTPScope) -> HotRoute[Any] | None:
        path = normalize_path(scope["path"])  # as the framework, which takes a slash more here and there
        if scope["method"] == "POST":
            return self._hot.get(path.encode())
        return self._hot_reads.get(path) if scope["method"] == "GET" else None

    async def answer(
        self, route: HotRoute[Any], received: Headers, client: Client, raw: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Status, headers and body for a hot call, whatever happens; `raw`: its body, of a GET its query."""
        assert self.services is not None
        started = time.perf_counter()
        name = request_id(received)
        try:
            answer = await route.run(self.services, received, client, raw)
            status, body = answer.status, answer.body
            headers = [_JSON, _REPLAYED] if answer.replayed else [_JSON]
        except AppError as error:
            status, body, headers = error.status, problem_body(error), problem_headers(error)
        except TRANSIENT_ERRORS as error:
            log.error("ledger_down", route=route.path, error=repr(error))
            down = Unavailable("the ledger does not answer", code="ledger_down")
            status, body, headers = down.status, problem_body(down), problem_headers(down)
        except Exception:
            log.exception("request_failed", route=route.path, request_id=name.decode("latin-1"))
            hidden = AppError()
            status, body, headers = hidden.status, problem_body(hidden), problem_headers(hidden)
        headers += ((b"content-length", b"%d" % len(body)), (b"x-request-id", name))
        self._observe(route.path, status, started)
        return status, headers, body

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send, started: float) -> None:
        status = 500
        name = request_id(dict(scope["headers"]))
        structlog.contextvars.bind_contextvars(request_id=name.decode("latin-1"))

        async def watched_send(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name)]
            await send(message)

        try:
            await self.framework(scope, receive, watched_send)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")
            self._observe(scope.get("path_template") or "other", status, started)

    def _observe(self, route: str, status: int, started: float) -> None:
        observer = self._observers.get((route, status))
        if observer is None:
            observer = metrics.REQUEST_SECONDS.labels(route, str(status))
            self._observers[(route, status)] = observer
        observer.observe(time.perf_counter() - started)


def request_id(headers: Headers) -> bytes:
    """The client's X-Request-Id where it is sane, else one of our own."""
    given = headers.get(b"x-request-id")
    if given is not None and 1 <= len(given) <= 128 and given.isascii():
        return given
    return f"{_process_part}-{next(_request_ids):x}".encode()
