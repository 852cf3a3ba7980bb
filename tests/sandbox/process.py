"""The sandbox provider as a process of its own, and a shop's address that its webhooks go to."""

import asyncio
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvicorn

API_KEY = "test-api-key"
SECRET = "test-event-secret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


class SandboxProcess:
    """Starts, kills and starts again on the same books and port."""

    def __init__(self, folder: Path, callback: str = "http://127.0.0.1:9", secret: str = SECRET) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = os.environ | {
            "RUSHCART_SANDBOX_API_KEY": API_KEY,
            "RUSHCART_EVENT_SECRETS": secret,
            "RUSHCART_SANDBOX_CALLBACK": callback,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def _spawn(self) -> subprocess.Popen[bytes]:
        options = ["--port", str(self.port), "--data-dir", str(self.folder)]
        return subprocess.Popen([sys.executable, "-m", "app.sandbox", *options], env=self._environment)

    async def start(self) -> None:
        self._process = self._spawn()
        async with httpx.AsyncClient() as client:
            deadline = time.monotonic() + 20
            while True:
                try:
                    if (await client.get(f"{self.url}/healthz")).is_success:
                        return
                except httpx.HTTPError:
                    assert time.monotonic() < deadline, "the sandbox provider did not start"
                    await asyncio.sleep(0.02)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=10)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, headers={"X-API-Key": API_KEY}, timeout=10, verify=False)


@dataclass
class Received:
    path: str
    signature: str
    raw: bytes

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.raw)

    def is_signed_with(self, secret: str) -> bool:
        stamp, digest = (part.split("=", 1)[1] for part in self.signature.split(","))
        expected = hmac.new(secret.encode(), f"{stamp}.".encode() + self.raw, hashlib.sha256).hexdigest()
        return abs(time.time() - int(stamp)) < 60 and expected == digest


@dataclass
class Shop:
    """A merchant's address: remembers what came, and refuses the next `refuse` webhooks."""

    url: str
    received: list[Received] = field(default_factory=list)
    refuse: int = 0

    def about(self, reference: str) -> list[Received]:
        return [event for event in self.received if reference.encode() in event.raw]

    def statuses(self, reference: str) -> list[str]:
        return [event.body["data"]["status"] for event in self.about(reference)]


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    port = free_port()
    shop = Shop(f"http://127.0.0.1:{port}")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raw = b""
        while True:
            message = await receive()
            raw += message["body"]
            if not message["more_body"]:
                break
        headers = dict(scope["headers"])
        shop.received.append(Received(scope["path"], headers[b"x-signature"].decode(), raw))
        status = 200
        if shop.refuse > 0:
            shop.refuse -= 1
            status = 503
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app, port):
        yield shop


@asynccontextmanager
async def serving(app: Any, port: int) -> AsyncIterator[None]:
    """The application on a real port, in this process."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, lifespan="off", log_level="error", access_log=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve())  # `serve` would take over the process's signals
    await wait_until(lambda: server.started)
    yield
    server.should_exit = True
    await task
