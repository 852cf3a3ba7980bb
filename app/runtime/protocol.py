"""How bytes become calls: uvicorn's protocol with a limit on heads, and a shorter way in for the hot calls.

A hot call needs nothing of ASGI's request and answer as streams of messages: its body is whole before it
begins, its answer is written at once. Most of what a server does in Python for a request is about these
streams, so plain hot calls pass them by (docs/adr/0004-hot-routes-before-the-framework.md). Whatever is
unusual about one (a query, `Expect`, HTTP/1.0, one sent before the last was answered) takes uvicorn's way, as
all other calls do.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.lib.hot import BODY_BYTES_MAX, Front, HotRoute

# A token and a few headers are 2 KB. A body that comes in the same piece is counted with them, and one that
# is too large (64 KiB) must still get its 413.
HEAD_BYTES_MAX = 256 * 1024


class BoundedHead(HttpToolsProtocol):
    """uvicorn's protocol, with a limit on the head of a request: the parser itself would keep any size."""

    head_bytes = 0
    in_head = True

    def data_received(self, data: bytes) -> None:
        if self.in_head:
            self.head_bytes += len(data)
            if self.head_bytes > HEAD_BYTES_MAX:
                self.send_400_response("The head of this request is too large.")
                return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self.in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.in_head, self.head_bytes = True, 0
        super().on_message_complete()


class _NobodyWaits:
    """Stands where uvicorn wakes up who waits for more of a body."""

    def set(self) -> None:
        pass


class HotCall:
    """One call on the shorter way. To uvicorn's protocol it is the cycle that is under way."""

    __slots__ = (
        "body",
        "disconnected",
        "headers",
        "keep_alive",
        "more_body",
        "response_complete",
        "route",
        "started",
    )

    message_event = _NobodyWaits()

    def __init__(self, route: HotRoute[Any], headers: list[tuple[bytes, bytes]]) -> None:
        self.route = route
        self.headers = headers
        self.body = b""
        self.started = False
        self.more_body = True
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False


class HotLane(BoundedHead):
    """`BoundedHead` in front of a `Front`, whose hot calls it hands over whole."""

    cycle: RequestResponseCycle | HotCall  # type: ignore[assignment]
    flow: FlowControl

    def on_headers_complete(self) -> None:
        route = self._hot_route()
        if route is None:
            super().on_headers_complete()
            return
        self.in_head = False
        self.cycle = HotCall(route, self.headers)

    def _hot_route(self) -> HotRoute[Any] | None:
        """None: not for the shorter way."""
        front = self.app
        assert isinstance(front, Front)
        route = front.hot_route(self.url)
        if route is None or front.services is None or self.expect_100_continue:
            return None
        parser = self.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return None
        if not parser.should_keep_alive() or parser.should_upgrade():
            return None
        # One that waits behind another is queued by uvicorn.
        return route if self.cycle is None or self.cycle.response_complete else None

    def on_body(self, body: bytes) -> None:
        call = self.cycle
        if not isinstance(call, HotCall):
            super().on_body(body)
        elif not call.started:
            call.body += body
            if len(call.body) > BODY_BYTES_MAX:  # its 413 need not wait for the rest
                self._start(call)

    def on_message_complete(self) -> None:
        call = self.cycle
        if not isinstance(call, HotCall):
            super().on_message_complete()
            return
        self.in_head, self.head_bytes = True, 0
        if not call.started:
            self._start(call)

    def _start(self, call: HotCall) -> None:
        call.started = True
        task = self.loop.create_task(self._answer(call))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, call: HotCall) -> None:
        front = self.app
        assert isinstance(front, Front)
        status, headers, body = await front.answer(call.route, dict(call.headers), self.client, call.body)
        if self.flow.write_paused:
            await self.flow.drain()
        if not call.keep_alive:
            headers.append((b"connection", b"close"))
        parts = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            parts += (name, b": ", value, b"\r\n")
        parts += (b"\r\n", body)
        if not self.transport.is_closing():
            self.transport.write(b"".join(parts))
        call.response_complete = True
        if not call.keep_alive:
            self.transport.close()
        self.on_response_complete()
