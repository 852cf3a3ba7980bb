"""Server-sent events: one answer that goes on until it is over or the client has left.

The framework's own streams leave an iterator to the garbage collector when the client goes away in the middle
of a send, or before the first one; here `leave` is called in every case, once the answer is done with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from litestar.response.streaming import ASGIStreamingResponse
from litestar.types import Receive, Scope, Send

MEDIA_TYPE = "text/event-stream"
# A comment: clients skip it, proxies see that the connection lives.
HEARTBEAT = b":\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Frames(Protocol):
    """What a client is sent, frame by frame; `leave` gives back what it holds."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    def leave(self) -> None: ...


class EventStream(ASGIStreamingResponse):
    """The answer. A client that reads slowly holds up its own next frame, and nothing else."""

    __slots__ = ("_frames",)

    def __init__(self, frames: Frames) -> None:
        super().__init__(iterator=aiter(frames), media_type=MEDIA_TYPE, headers=HEADERS)
        self._frames = frames

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._frames.leave()


def frame(name: str, number: int, data: bytes) -> bytes:
    """One event; `data` has no line breaks, as compact JSON has none."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, name.encode(), data)
