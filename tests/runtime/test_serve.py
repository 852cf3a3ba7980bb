"""The server in front of the application."""

import asyncio
import socket
from typing import Any

from app.runtime.protocol import HEAD_BYTES_MAX
from app.runtime.serve import DRAIN_S, build_server


async def answer_ok(scope: Any, receive: Any, send: Any) -> None:
    while scope["type"] == "lifespan":
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def first_line(port: int, head: bytes) -> bytes:
    """What the server answers to these bytes; it may close before it has read them all."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(head)
        return (await reader.readline()).strip()
    finally:
        writer.transport.abort()


async def test_a_head_without_end_is_refused_and_a_usual_one_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = build_server(answer_ok)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            usual = b"GET / HTTP/1.1\r\nhost: x\r\ncookie: " + b"c" * 4_000 + b"\r\n\r\n"
            assert await first_line(port, usual) == b"HTTP/1.1 200 OK"
            endless = b"GET / HTTP/1.1\r\nhost: x\r\ncookie: " + b"c" * (HEAD_BYTES_MAX + 1)
            assert await first_line(port, endless) == b"HTTP/1.1 400 Bad Request"
        finally:
            server.should_exit = True
            await serving


async def test_answers_without_an_end_are_told_before_the_server_waits_for_all_answers() -> None:
    over = asyncio.Event()

    async def end_streams() -> None:
        over.set()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return await answer_ok(scope, receive, send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await over.wait()
        return await send({"type": "http.response.body", "body": b"ended"})

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = build_server(stream)
        server.before_shutdown = end_streams
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await reader.readuntil(b"begun")
        server.should_exit = True
        async with asyncio.timeout(DRAIN_S / 2):
            assert (await reader.read()).endswith(b"ended\r\n0\r\n\r\n")
            await serving
        writer.close()
