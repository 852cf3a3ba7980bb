"""The shorter way in for hot calls: whatever way a call comes in, it gets the same answer."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from app.bootstrap import Services
from app.lib.hot import BODY_BYTES_MAX, Front
from app.runtime import protocol
from app.runtime.protocol import HEAD_BYTES_MAX, HotLane
from app.runtime.serve import Server, build_server
from tests.rows import put_sku

PATH = "/shopping/cal_price/v4_4"


@pytest.fixture
def server(front: Front) -> Server:
    """The application behind the server, without a second start of its own."""
    server = build_server(front)
    server.config.lifespan = "off"
    return server


@pytest.fixture
async def port(server: Server) -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


@pytest.fixture
async def sku_id(services: Services) -> str:
    sku_id = uuid4().hex[:8]
    await put_sku(services.pool, sku_id, shop_id=f"shop-{sku_id}", price_minor=700, on_hand=5)
    await services.prices.refresh()
    return sku_id


def body_of(sku_id: str, quantity: int = 1) -> bytes:
    return json.dumps({"currency": "CNY", "lines": [{"sku_id": sku_id, "quantity": quantity}]}).encode()


def request(body: bytes, *headers: str, path: str = PATH, version: str = "1.1") -> bytes:
    head = [f"POST {path} HTTP/{version}", "host: x", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(head).encode() + body


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split()[1]), headers, body


@pytest.fixture
async def connection(port: int) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield Connection(reader, writer)
    writer.transport.abort()


def payable(answer: tuple[int, dict[str, str], bytes]) -> int:
    status, _, body = answer
    assert status == 200, body
    value: int = json.loads(body)["payable_minor"]
    return value


async def test_one_connection_takes_call_after_call(connection: Connection, sku_id: str) -> None:
    for quantity in (1, 2, 3):
        connection.writer.write(request(body_of(sku_id, quantity), f"x-request-id: call-{quantity}"))
        status, headers, body = await connection.answer()
        assert (status, json.loads(body)["payable_minor"]) == (200, 700 * quantity)
        assert headers["x-request-id"] == f"call-{quantity}"
        assert headers["content-type"] == "application/json"
        assert "date" in headers


async def test_a_call_may_come_in_pieces(connection: Connection, sku_id: str) -> None:
    whole = request(body_of(sku_id, 2))
    for start in range(0, len(whole), 7):
        connection.writer.write(whole[start : start + 7])
        await asyncio.sleep(0)  # a turn for the server, which reads what is there
    assert payable(await connection.answer()) == 1_400


async def test_calls_sent_without_waiting_are_answered_in_their_order(
    connection: Connection, sku_id: str
) -> None:
    hot = [request(body_of(sku_id, quantity)) for quantity in (1, 2, 3)]
    cold = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    connection.writer.write(hot[0] + hot[1] + cold + hot[2])
    assert payable(await connection.answer()) == 700
    assert payable(await connection.answer()) == 1_400
    assert (await connection.answer())[0] == 200
    assert payable(await connection.answer()) == 2_100


@pytest.mark.parametrize(
    ("head", "version"),
    [(["expect: 100-continue"], "1.1"), (["connection: close"], "1.1"), ([], "1.0")],
    ids=["expect", "close", "http 1.0"],
)
async def test_what_is_unusual_takes_the_longer_way(
    connection: Connection, sku_id: str, head: list[str], version: str
) -> None:
    connection.writer.write(request(body_of(sku_id), *head, version=version))
    if head == ["expect: 100-continue"]:
        assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert payable(await connection.answer()) == 700
        return
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await connection.reader.read() == b""


async def test_a_query_changes_nothing(connection: Connection, sku_id: str) -> None:
    connection.writer.write(request(body_of(sku_id), path=f"{PATH}?a=b"))
    assert payable(await connection.answer()) == 700


@pytest.mark.parametrize("path", [f"/{PATH}", PATH.replace("/", "//"), f"{PATH}//"])
async def test_a_slash_too_many_changes_nothing(connection: Connection, sku_id: str, path: str) -> None:
    """An address that ends in one, and a path that begins with one."""
    connection.writer.write(request(body_of(sku_id), path=path))
    assert payable(await connection.answer()) == 700
    connection.writer.write(b"GET //groupbuy/campaigns HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await connection.answer())[0] == 200


async def test_a_chunked_body_is_a_body(connection: Connection, sku_id: str) -> None:
    body = body_of(sku_id, 2)
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n".encode()
    pieces = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:10], body[10:]))
    connection.writer.write(head + pieces + b"0\r\n\r\n")
    assert payable(await connection.answer()) == 1_400


async def test_a_body_that_is_too_large_is_refused_before_its_end(connection: Connection) -> None:
    whole = request(b" " * (4 * BODY_BYTES_MAX))
    connection.writer.write(whole[: 2 * BODY_BYTES_MAX])
    status, headers, body = await connection.answer()
    assert (status, json.loads(body)["code"]) == (413, "body_too_large")
    assert headers["content-type"] == "application/problem+json"


async def test_after_a_body_that_was_too_large_the_connection_goes_on(
    connection: Connection, sku_id: str
) -> None:
    connection.writer.write(request(b" " * (2 * BODY_BYTES_MAX)) + request(body_of(sku_id)))
    assert (await connection.answer())[0] == 413
    assert payable(await connection.answer()) == 700


async def test_a_caller_who_hangs_up_disturbs_nobody(port: int, connection: Connection, sku_id: str) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(body_of(sku_id)))
    writer.transport.abort()
    connection.writer.write(request(body_of(sku_id)))
    assert payable(await connection.answer()) == 700


async def test_another_method_is_refused(connection: Connection) -> None:
    connection.writer.write(f"GET {PATH} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert (await connection.answer())[0] == 405


def chunked(*pieces: bytes, headers: str = "", trailers: str = "") -> bytes:
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n{headers}\r\n"
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return head.encode() + body + f"0\r\n{trailers}\r\n".encode()


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"], ids=["shorter way", "longer way"])
async def test_what_comes_after_the_body_is_no_header(connection: Connection, sku_id: str, path: str) -> None:
    trailers = "authorization: Bearer forged\r\nx-request-id: forged\r\n"
    sent = chunked(body_of(sku_id), headers="x-request-id: mine\r\n", trailers=trailers)
    connection.writer.write(sent.replace(PATH.encode(), path.encode()))
    answer = await connection.answer()
    assert payable(answer) == 700
    assert answer[1]["x-request-id"] == "mine"


async def test_what_comes_after_the_body_has_a_limit(connection: Connection, sku_id: str) -> None:
    connection.writer.write(chunked(body_of(sku_id))[:-2] + b"x: " + b"a" * 2 * HEAD_BYTES_MAX)
    status, headers, body = await connection.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert body == b"The head of this request is too large."


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"], ids=["shorter way", "longer way"])
@pytest.mark.parametrize(("more", "status"), [(-100, 200), (100, 400)], ids=["large", "too large"])
async def test_a_head_has_one_limit_however_it_arrives(
    connection: Connection, sku_id: str, path: str, more: int, status: int
) -> None:
    """Here its first half comes with the call before it."""
    body, half = body_of(sku_id), HEAD_BYTES_MAX // 2
    without = len(request(body, path=path)) - len(body)
    sent = request(body, f"x: {'a' * (HEAD_BYTES_MAX + more - without)}", path=path)
    connection.writer.write(request(body) + sent[:half])
    assert payable(await connection.answer()) == 700
    connection.writer.write(sent[half:])
    answer = await connection.answer()
    assert answer[0] == status
    assert status == 200 or answer[2] == b"The head of this request is too large."


async def test_a_body_of_many_small_pieces_is_a_body(connection: Connection, sku_id: str) -> None:
    spaces = [b" "] * (HEAD_BYTES_MAX // 8)
    connection.writer.write(chunked(body_of(sku_id), *spaces))
    assert payable(await connection.answer()) == 700


BAD_LENGTHS = ["-1", "+5", "0x10", "5, 5", "99999999999999999999", "5\r\ncontent-length: 6"]


@pytest.mark.parametrize("length", [*BAD_LENGTHS, "5\r\ntransfer-encoding: chunked"])
async def test_a_body_of_doubtful_length_is_refused(connection: Connection, length: str) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n".encode()
    connection.writer.write(head + b"0\r\n\r\nGET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert await connection.reader.read() == b""


@pytest.mark.parametrize("hidden", ["a\r\n folded: b", "a\rset-cookie: b", "a\nset-cookie: b", "a\x7f"])
async def test_a_request_id_adds_no_header_to_the_answer(
    connection: Connection, sku_id: str, hidden: str
) -> None:
    connection.writer.write(request(body_of(sku_id), f"x-request-id: {hidden}"))
    status, headers, _ = await connection.answer()
    if status == 200:  # of which only the line before it was the id
        assert (headers["x-request-id"], "set-cookie" in headers) == ("a", False)
    else:
        assert (status, "set-cookie" in headers) == (400, False)


@pytest.mark.parametrize("path", [PATH, "/healthz"])
async def test_a_call_before_a_bad_one_gets_its_own_answer(
    connection: Connection, sku_id: str, path: str
) -> None:
    first = request(body_of(sku_id)) if path == PATH else b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    connection.writer.write(first + b"\0 no request\r\n\r\n")
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await connection.reader.read() == b""


async def test_a_chunk_that_is_none_gets_the_refusal(connection: Connection, sku_id: str) -> None:
    connection.writer.write(chunked(body_of(sku_id))[:-5] + b"no number\r\n")
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (400, "close")


@pytest.mark.parametrize(
    "sent", [b"POST / HT", request(b" " * 100)[:-50]], ids=["half a head", "half a body"]
)
async def test_half_a_request_is_not_waited_for_for_ever(
    connection: Connection, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_WITHIN_S", 0.01)
    connection.writer.write(sent)
    assert await connection.reader.read() == b""


async def test_each_request_has_its_own_time_also_where_it_begins_beside_the_end_of_another(
    server: Server, connection: Connection, sku_id: str
) -> None:
    """Else a connection that is never between two requests would be closed in the middle of one."""
    whole = request(body_of(sku_id))
    ends: list[float] = []
    connection.writer.write(whole[:-9])
    for _ in range(3):
        connection.writer.write(whole[-9:] + whole[:-9])
        assert payable(await connection.answer()) == 700
        (waiting,) = server.server_state.connections
        assert isinstance(waiting, HotLane)
        assert waiting.late is not None
        ends.append(waiting.late.when())
    assert ends[0] < ends[1] < ends[2]


async def test_a_connection_that_asks_nothing_is_closed(server: Server, port: int) -> None:
    server.config.timeout_keep_alive = 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b""
    writer.close()


async def test_a_connection_is_closed_that_goes_silent_after_a_refused_body(
    server: Server, connection: Connection
) -> None:
    whole = request(b" " * (4 * BODY_BYTES_MAX))
    connection.writer.write(whole[: 2 * BODY_BYTES_MAX])
    assert (await connection.answer())[0] == 413
    (waiting,) = server.server_state.connections
    assert isinstance(waiting, HotLane)
    waiting.timeout_keep_alive = 0
    connection.writer.write(whole[2 * BODY_BYTES_MAX :])
    assert await connection.reader.read() == b""


WISH = ("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQCAAAAAAIAAAAA")


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"], ids=["shorter way", "longer way"])
async def test_a_call_that_would_rather_speak_http_2_is_answered_like_any_other(
    connection: Connection, sku_id: str, path: str
) -> None:
    """`curl --http2` sends all its calls so."""
    first = request(body_of(sku_id), *WISH, "x-request-id: mine", path=path)
    for piece in (first[:-9], first[-9:]):
        connection.writer.write(piece)
        await asyncio.sleep(0)
    answer = await connection.answer()
    assert (payable(answer), answer[1]["x-request-id"]) == (700, "mine")
    chunks = chunked(body_of(sku_id, 2), headers="\r\n".join((*WISH, "")))
    healthy = "\r\n".join(("GET /healthz HTTP/1.1", "host: x", *WISH, "", "")).encode()
    connection.writer.write(chunks + healthy + healthy + request(body_of(sku_id, 3), path=path))
    assert payable(await connection.answer()) == 1_400
    assert [(await connection.answer())[0] for _ in range(2)] == [200, 200]
    assert payable(await connection.answer()) == 2_100


async def test_a_bad_wish_does_not_disturb_the_call_before_it(connection: Connection, sku_id: str) -> None:
    bad = request(b"{", *WISH)
    connection.writer.write(request(body_of(sku_id)) + bad + request(body_of(sku_id, 2)))
    assert payable(await connection.answer()) == 700
    status, _, body = await connection.answer()
    assert (status, json.loads(body)["code"]) == (400, "not_json")
    assert payable(await connection.answer()) == 1_400


async def test_who_asks_for_a_tunnel_is_refused(connection: Connection) -> None:
    connection.writer.write(b"CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n")
    status, headers, _ = await connection.answer()
    assert (status, headers["connection"]) == (400, "close")


async def test_half_a_body_is_no_call(front: Front, sku_id: str) -> None:
    """Also where what has come can be read as the whole."""
    scope: Any = {"type": "http", "method": "POST", "path": PATH, "headers": [], "client": None}
    received = [
        {"type": "http.request", "body": body_of(sku_id), "more_body": True},
        {"type": "http.disconnect"},
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return received.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await front(scope, receive, send)
    assert (received, sent) == ([], [])
