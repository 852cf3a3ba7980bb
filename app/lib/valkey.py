"""The connection to Valkey, its Lua scripts, and the breaker that makes its absence slow but harmless.

Scripts change things, so nothing here is sent again by itself; every script is safe to call twice with the
same id. Calls that wait together go out in one write: 64 scripts in one cost a fifth of 64 single calls.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import hiredis
import redis.asyncio as redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from app.lib.sql import ROOT

LUA = ROOT / "lua"
# Valkey answers a pipeline of a hundred scripts within some milliseconds; a quarter of a second means that it
# is ill, and the ledger is asked instead.
ROUND_TRIP_TIMEOUT_S = 0.25
# Nobody's order waits here.
CLIENT_TIMEOUT_S = 2.0
# After a failure the gate is left alone for this long, then one call tries it again.
BREAKER_OPEN_S = 0.5

# Keys that are scanned, or read, at a time: Valkey answers in well under a millisecond.
KEYS_AT_A_TIME = 500

GATE_ERRORS: tuple[type[BaseException], ...] = (RedisError, OSError, TimeoutError)

Key = str
Argument = str | int | bytes
Call = tuple[Sequence[Key], Sequence[Argument]]


class GateDown(Exception):
    """Valkey did not answer, or the breaker is open: go on without it."""


def open_client(redis_url: str, *, connections_max: int) -> redis.Redis:
    """The plain client, for what is not on the way of an order; every wait has a limit."""
    pool = redis.BlockingConnectionPool.from_url(
        redis_url,
        max_connections=connections_max,
        timeout=CLIENT_TIMEOUT_S,
        socket_timeout=CLIENT_TIMEOUT_S,
        socket_connect_timeout=CLIENT_TIMEOUT_S,
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
        self.name = name
        self.path: Path = LUA / f"{name}.lua"
        self.text = self.path.read_text()
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def command(self, call: Call) -> Sequence[Argument]:
        keys, arguments = call
        return ("EVALSHA", self.sha, len(keys), *keys, *arguments)


class Valkey:
    """Runs scripts and commands in pipelines, behind the breaker."""

    def __init__(self, redis_url: str, *, connections_max: int) -> None:
        # No time-out a read: one for the whole round trip costs less and bounds more.
        self._pool = redis.BlockingConnectionPool.from_url(
            redis_url, max_connections=connections_max, timeout=None, health_check_interval=0
        )
        self.breaker = Breaker()

    async def run_scripts(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """One reply (or exception) per call, in order. Raises GateDown when Valkey is not there."""
        replies = await self.commands([script.command(call) for call in calls])
        forgotten = [n for n, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if forgotten:  # a call that was answered so has done nothing
            await self.command("SCRIPT", "LOAD", script.text)
            again = await self.commands([script.command(calls[n]) for n in forgotten])
            for n, reply in zip(forgotten, again, strict=True):
                replies[n] = reply
        return replies

    async def command(self, *arguments: Argument) -> Any:
        """One command. Raises GateDown when Valkey is not there, ResponseError when it refuses."""
        (reply,) = await self.commands([arguments])
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    async def commands(self, commands: Sequence[Sequence[Argument]]) -> list[Any]:
        """Many in one write: one reply (or ResponseError) each, in order. Raises GateDown.

        Packed and read without the client's own pipeline, which takes three times as much of this process's
        time (docs/performance.md).
        """
        if not commands:
            return []
        packed = _pack(commands)
        async with self._connection() as connection:
            await connection.send_packed_command(packed, check_health=False)
            return [await _read_reply(connection) for _ in commands]

    async def scan(self, pattern: str) -> list[str]:
        """All keys of a pattern, sorted. Raises GateDown."""
        cursor, keys = b"0", set[bytes]()
        while True:
            cursor, found = await self.command("SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_AT_A_TIME)
            keys.update(found)
            if cursor in (b"0", 0):
                return sorted(key.decode() for key in keys)

    async def tell(self, commands: Sequence[Sequence[Argument]]) -> None:
        """Many in one write, whose replies nobody needs: one says that all were heard, not what came of them.

        Reading a reply costs this process more than sending a short command. Raises GateDown, or
        ResponseError where the server does not let replies be turned off.
        """
        packed = _pack([("CLIENT", "REPLY", "OFF"), *commands, ("CLIENT", "REPLY", "ON")])
        async with self._connection() as connection:
            await connection.send_packed_command(packed, check_health=False)
            reply = await _read_reply(connection)
            if isinstance(reply, ResponseError):  # the others' replies follow, and would be the next call's
                await connection.disconnect(nowait=True)
        if isinstance(reply, ResponseError):
            raise reply

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[redis.Connection]:
        """A connection for one round trip, within the time limit. Raises GateDown."""
        if self.breaker.is_open():
            raise GateDown("the breaker is open")
        try:
            async with _patience(ROUND_TRIP_TIMEOUT_S):
                connection = await self._pool.get_connection()
                try:
                    yield connection
                except BaseException:
                    # Replies that nobody has read would be taken for the next call's.
                    await connection.disconnect(nowait=True)
                    raise
                finally:
                    await self._pool.release(connection)
        except GATE_ERRORS as error:
            self.breaker.failed()
            raise GateDown(repr(error)) from error

    async def close(self) -> None:
        await self._pool.disconnect()


@asynccontextmanager
async def _patience(limit_s: float) -> AsyncIterator[None]:
    """A time-out that counts twice `limit_s`, with a turn of the loop between.

    A thousand buyers who connect at once hold this process up for longer than the limit: the reply has long
    come, and taking our own delay for Valkey's would open the breaker in the worst moment.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as timeout:
        first = loop.call_later(limit_s, lambda: timeout.reschedule(loop.time() + limit_s))
        try:
            yield
        finally:
            first.cancel()


def hash_fields(reply: Any) -> Iterable[tuple[bytes, bytes]]:
    """Those of a hash, with their values, from the reply to an HGETALL in either protocol."""
    return reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)


def _pack(commands: Sequence[Sequence[Argument]]) -> bytes:
    return b"".join([hiredis.pack_command(tuple(command)) for command in commands])  # type: ignore[arg-type]


async def _read_reply(connection: redis.Connection) -> Any:
    """A reply, or the error that Valkey has replied with."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
