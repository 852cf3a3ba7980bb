"""The connection to Valkey, its Lua scripts, and the breaker that makes its absence slow but harmless.

Scripts change things, so nothing here is sent again by itself; every script is safe to call twice with the
same id. Calls that wait together go out in one pipeline: 64 scripts in one cost a fifth of 64 single calls.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis.asyncio as redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError

from app.lib.sql import ROOT

LUA = ROOT / "lua"
# Valkey answers a pipeline of a hundred scripts within some milliseconds; a quarter of a second means that it
# is ill, and the ledger is asked instead.
SOCKET_TIMEOUT_S = 0.25
CONNECT_TIMEOUT_S = 0.25
# After a failure the gate is left alone for this long, then one call tries it again.
BREAKER_OPEN_S = 0.5

GATE_ERRORS: tuple[type[BaseException], ...] = (RedisError, OSError, TimeoutError)

Key = str
Argument = str | int | bytes
Call = tuple[Sequence[Key], Sequence[Argument]]


class GateDown(Exception):
    """Valkey did not answer, or the breaker is open: go on without it."""


def open_client(redis_url: str, *, connections_max: int) -> redis.Redis:
    """A client whose every wait has a limit and which sends nothing twice."""
    pool = redis.BlockingConnectionPool.from_url(
        redis_url,
        max_connections=connections_max,
        timeout=SOCKET_TIMEOUT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=CONNECT_TIMEOUT_S,
        retry_on_timeout=False,
        health_check_interval=0,
    )
    return redis.Redis.from_pool(pool)


class Breaker:
    """Open after a failure for `BREAKER_OPEN_S`, so that a dead Valkey costs one time-out, not one a call."""

    def __init__(self) -> None:
        self._open_until = 0.0
        self.failures = 0

    def is_open(self) -> bool:
        return time.monotonic() < self._open_until

    def failed(self) -> None:
        self.failures += 1
        self._open_until = time.monotonic() + BREAKER_OPEN_S


class Script:
    """One Lua file, called by its hash, loaded again when Valkey has forgotten it."""

    def __init__(self, name: str) -> None:
        self.path: Path = LUA / f"{name}.lua"
        self.text = self.path.read_text()
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


class Valkey:
    """Runs scripts and commands in pipelines, behind the breaker."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.breaker = Breaker()

    async def run_scripts(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """One reply (or exception) per call, in order. Raises GateDown when Valkey is not there."""
        replies = await self._pipeline([(script, call) for call in calls])
        forgotten = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if forgotten:  # a call that was answered so has done nothing
            await self.command("SCRIPT LOAD", script.text)
            again = await self._pipeline([(script, calls[n]) for n in forgotten])
            for n, reply in zip(forgotten, again, strict=True):
                replies[n] = reply
        return replies

    async def run_script(self, script: Script, keys: Sequence[Key], arguments: Sequence[Argument]) -> Any:
        """One call alone. Raises GateDown, or the script's own error."""
        (reply,) = await self.run_scripts(script, [(keys, arguments)])
        if isinstance(reply, BaseException):
            raise reply
        return reply

    async def _pipeline(self, calls: Sequence[tuple[Script, Call]]) -> list[Any]:
        if self.breaker.is_open():
            raise GateDown("the breaker is open")
        try:
            async with self.client.pipeline(transaction=False) as pipeline:
                for script, (keys, arguments) in calls:
                    pipeline.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)
                replies: list[Any] = await pipeline.execute(raise_on_error=False)
        except GATE_ERRORS as error:
            self.breaker.failed()
            raise GateDown(repr(error)) from error
        if any(isinstance(reply, RedisConnectionError | TimeoutError) for reply in replies):
            self.breaker.failed()
            raise GateDown("the connection was lost within a pipeline")
        return replies

    async def command(self, *arguments: Argument) -> Any:
        """One command. Raises GateDown when Valkey is not there."""
        if self.breaker.is_open():
            raise GateDown("the breaker is open")
        try:
            return await self.client.execute_command(*arguments)  # type: ignore[no-untyped-call]
        except GATE_ERRORS as error:
            self.breaker.failed()
            raise GateDown(repr(error)) from error

    async def close(self) -> None:
        await self.client.aclose()
        await self.client.connection_pool.disconnect()
