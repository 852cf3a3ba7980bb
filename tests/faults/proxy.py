"""Between a process and Postgres: passes everything on, and loses one reply when told to.

What was asked happens and is durable, its client only hears that the connection is gone: what a cut network
does in the worst moment.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SOCKET = ".s.PGSQL.5432"
# Postgres is ready for the next query and in no transaction: what was begun has been committed.
READY_IDLE = b"Z\0\0\0\x05I"


class LosingProxy:
    """Once: the reply to the transaction in which `lose` was sent. `lost` says that it has been."""

    def __init__(self, server_socket: Path) -> None:
        self._server_socket = server_socket
        self.lose: bytes | None = None
        self.lost = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._server_socket)
        losing = asyncio.Event()
        replies = asyncio.create_task(self._pass_replies(from_server, writer, losing))
        try:
            while message := await reader.read(65_536):
                if self.lose and not self.lost and self.lose in message:
                    losing.set()
                to_server.write(message)
        finally:
            to_server.close()
            await replies

    async def _pass_replies(
        self, from_server: asyncio.StreamReader, writer: asyncio.StreamWriter, losing: asyncio.Event
    ) -> None:
        while reply := await from_server.read(65_536):
            if losing.is_set() and READY_IDLE in reply:
                self.lost = True
                break
            writer.write(reply)
        writer.close()


@asynccontextmanager
async def open_proxy(database_url: str) -> AsyncIterator[tuple[LosingProxy, str]]:
    """The proxy, and the URL by which Postgres is reached through it."""
    host = database_url.partition("host=")[2]
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        proxy = LosingProxy(Path(host) / SOCKET)
        server = await asyncio.start_unix_server(proxy.serve, Path(folder) / SOCKET)
        try:
            yield proxy, database_url.replace(host, folder)
        finally:
            server.close()
