"""How bytes become calls: uvicorn's protocol with limits, and a shorter way in for the hot calls.

A hot call needs nothing of ASGI's request and answer as streams of messages: its body is whole before it
begins, its answer is written at once. Most of what a server does in Python for a request is about these
streams, so plain hot calls pass them by (docs/adr/0004-hot-routes-before-the-framework.md). Whatever is
unusual about one (a query, `Expect`, HTTP/1.0, one sent before the last was answered) takes uvicorn's way, as
all other calls do.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from app.lib.hot import BODY_BYTES_MAX, Front, Headers, HotRoute

# A token and a few headers are 2 KB. What a chunked body brings beside its bytes (sizes of chunks, trailers)
# counts with them: 5 bytes a chunk, so that chunks of one byte make up a body of 50 KB and no more.
HEAD_BYTES_MAX = 256 * 1024
HEAD_TOO_LARGE = "The head of this request is too large."
NO_REQUEST = "Invalid HTTP request received."
# From its first byte to its last. A phone in a tunnel needs seconds for 64 KiB; who needs longer holds a
# connection for nothing.
REQUEST_WITHIN_S = 60.0


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, with limits on a request's head and time: by itself it would take any."""

    beside_body_bytes = 0
    in_message = False
    late: asyncio.TimerHandle | None = None
    # since when nothing is asked; None: something is
    idle_since: float | None = None

    # Narrower than asyncio's BaseTransport, as in uvicorn's own: a server's connections are never less.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_next()

    def data_received(self, data: bytes) -> None:
        self.idle_since = None
        self.beside_body_bytes += len(data)
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.logger.warning(NO_REQUEST)
            self.send_400_response(NO_REQUEST)
        if self.in_message:
            if self.beside_body_bytes <= 0:  # it began beside the end of the one before: too much, to be sure
                self.beside_body_bytes += len(data)
            if self.beside_body_bytes > HEAD_BYTES_MAX:
                self.send_400_response(HEAD_TOO_LARGE)
            elif self.late is None:
                self.late = self.loop.call_later(REQUEST_WITHIN_S, self.timeout_keep_alive_handler)
            return
        if self.cycle is None or self.cycle.response_complete:  # the end of what was answered before its end
            self._wait_for_next()

    def _feed(self, data: bytes | memoryview) -> None:
        """Raises HttpParserError, and HttpParserUpgrade for CONNECT.

        A wish to speak something else is ignored, as RFC 9110 (7.8) allows: `curl --http2` has it. The parser
        takes what follows such a head for the other protocol, so it is given the head anew without the wish.
        """
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as wish:
                data = memoryview(data)[wish.args[0] :]
                self.parser.feed_data(self._head_without_wish())

    def _head_without_wish(self) -> bytes:
        line = (self.parser.get_method(), b" ", self.url, b" HTTP/", self.parser.get_http_version().encode())
        headers = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        return b"".join((*line, b"\r\n", *headers, b"\r\n"))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        if self.late is not None:
            self._forget_late()

    def send_400_response(self, msg: str) -> None:
        """A call that came before the bad one gets its own answer, after which the connection ends."""
        if self.transport.is_closing():
            return
        before = self.cycle
        if before is None or before.response_complete or before.more_body:
            super().send_400_response(msg)
        else:
            before.keep_alive = False
            self.flow.pause_reading()

    def on_message_begin(self) -> None:
        self.in_message = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self.beside_body_bytes > HEAD_BYTES_MAX and self._head_bytes() > HEAD_BYTES_MAX:
            self.send_400_response(HEAD_TOO_LARGE)
            raise ValueError(HEAD_TOO_LARGE)  # which ends the parser
        if self.parser.should_upgrade():  # it will come again
            return
        self._begin_call()
        # What comes after the body in a header's shape is none: whoever checks headers has not seen it.
        self.headers = []

    def _head_bytes(self) -> int:
        """But for some 20 of its first line."""
        return len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])

    def _begin_call(self) -> None:
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.beside_body_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():  # only its head
            return
        self._end_message()
        super().on_message_complete()

    def _end_message(self) -> None:
        self.in_message, self.beside_body_bytes = False, 0
        if self.late is not None:
            self._forget_late()

    def on_response_complete(self) -> None:
        """As uvicorn's, but for the timer."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._wait_for_next()

    def _wait_for_next(self) -> None:
        """Not for ever. One timer serves a connection for as long as it lives: uvicorn's, one for each
        answer, cost more than the answer's headers."""
        if self.transport.is_closing():
            return
        self.idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _unset_keepalive_if_required(self) -> None:
        """Asked by uvicorn when a connection is lost."""
        self.idle_since = None

    def _end_if_idle(self) -> None:
        self.timeout_keep_alive_task = None
        if self.idle_since is None:
            return
        left_s = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s <= 0:
            self.timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(left_s, self._end_if_idle)

    def _forget_late(self) -> None:
        assert self.late is not None
        self.late.cancel()
        self.late = None


class _NobodyWaits:
    """Stands where uvicorn wakes up who waits for more of a body."""

    def set(self) -> None:
        pass


class HotCall:
    """One call on the shorter way. To uvicorn's protocol it is the cycle that is under way."""

    message_event = _NobodyWaits()
    body_bytes = 0
    started = False
    more_body = True
    task: asyncio.Task[None] | None = None
    keep_alive = True
    disconnected = False
    response_complete = False

    def __init__(self, route: HotRoute[Any], headers: Headers) -> None:
        self.route = route
        self.headers = headers
        self.pieces: list[bytes] = []


class HotLane(BoundedHead):
    """`BoundedHead` in front of a `Front`, whose hot calls it hands over whole."""

    cycle: RequestResponseCycle | HotCall  # type: ignore[assignment]
    flow: FlowControl

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        assert isinstance(self.app, Front)
        self.front = self.app

    def on_message_begin(self) -> None:
        """ASGI's scope, which uvicorn makes here, waits until somebody needs it."""
        self.in_message = True
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        """What uvicorn looks for in each header is asked once, when they are complete."""
        self.headers.append((name.lower(), value))

    def _begin_call(self) -> None:
        headers = dict(self.headers)
        route = None if b"expect" in headers else self._hot_route()
        if route is not None:
            self.cycle = HotCall(route, headers)
            return
        head = self.url, self.headers
        super().on_message_begin()
        self.url, self.headers = head
        self.expect_100_continue = (b"expect", b"100-continue") in [(n, v.lower()) for n, v in self.headers]
        self.scope["headers"] = self.headers
        super()._begin_call()

    def _hot_route(self) -> HotRoute[Any] | None:
        """None: not for the shorter way."""
        route = self.front.hot_route(self.url)
        if route is None or self.front.services is None:
            return None
        parser = self.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return None
        if not parser.should_keep_alive():
            return None
        # One that waits behind another is queued by uvicorn.
        return route if self.cycle is None or self.cycle.response_complete else None

    def on_body(self, body: bytes) -> None:
        call = self.cycle
        if not isinstance(call, HotCall):
            super().on_body(body)
            return
        self.beside_body_bytes -= len(body)
        if not call.started:
            call.pieces.append(body)
            call.body_bytes += len(body)
            if call.body_bytes > BODY_BYTES_MAX:  # its 413 need not wait for the rest
                self._start(call)

    def on_message_complete(self) -> None:
        call = self.cycle
        if not isinstance(call, HotCall) or self.parser.should_upgrade():
            super().on_message_complete()
            return
        self._end_message()
        call.more_body = False
        if not call.started:
            self._start(call)

    def _start(self, call: HotCall) -> None:
        call.started = True
        call.task = self.loop.create_task(self._answer(call))
        self.tasks.add(call.task)

    async def _answer(self, call: HotCall) -> None:
        try:
            status, headers, body = await self.front.answer(
                call.route, call.headers, self.client, b"".join(call.pieces)
            )
            if self.flow.write_paused:
                await self.flow.drain()
        finally:  # by a callback of the task it would take another turn of the loop
            self.tasks.discard(call.task)
        if not call.keep_alive:
            headers.append((b"connection", b"close"))
        head = map(b": ".join, (*self.server_state.default_headers, *headers))
        if not self.transport.is_closing():
            self.transport.write(STATUS_LINE[status] + b"\r\n".join((*head, b"", body)))
        call.response_complete = True
        if not call.keep_alive:
            self.transport.close()
        self.on_response_complete()
