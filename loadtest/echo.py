"""The two echoes that the bench measures everything against, each on the server and settings of the API.

`limit` is plain ASGI: decode the checkout request, encode it, answer. `echo` is the handler that a user of
Litestar writes for the same, with the framework's defaults. Neither does any work of a shop.
"""

from __future__ import annotations

import socket
import sys

import msgspec
from litestar import Litestar, post
from litestar.params import JSONBody
from litestar.types import ASGIApp, Receive, Scope, Send

from app.pricing.schemas import CheckoutRequest
from app.runtime.serve import build_server

_decode = msgspec.json.Decoder(CheckoutRequest).decode
_encode = msgspec.json.Encoder().encode


async def limit(scope: Scope, receive: Receive, send: Send) -> None:
    """What the server alone can do: no routing, no login, no measuring."""
    if scope["type"] == "lifespan":  # type: ignore[comparison-overlap]  # servers send it to every application
        await _answer_lifespan(receive, send)
        return
    message = await receive()
    body = _encode(_decode(message["body"]))  # type: ignore[typeddict-item]
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _answer_lifespan(receive: Receive, send: Send) -> None:
    for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
        await receive()
        await send({"type": answer})  # type: ignore[typeddict-item]


@post("/shopping/cart/checkout/entries")
async def echo(data: JSONBody[CheckoutRequest]) -> CheckoutRequest:
    return data


def main() -> None:
    """`python -m loadtest.echo limit|echo FD`: serve on the listening socket that the parent hands over."""
    name, descriptor = sys.argv[1:]
    app: ASGIApp = limit if name == "limit" else Litestar([echo])
    build_server(app).run(sockets=[socket.socket(fileno=int(descriptor))])


if __name__ == "__main__":
    main()
