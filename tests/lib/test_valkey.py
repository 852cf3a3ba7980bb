"""The way to Valkey: whose delay it is, and how soon it is left alone."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest
from redis.exceptions import ResponseError

from app.lib.valkey import BREAKER_OPEN_S, ROUND_TRIP_TIMEOUT_S, GateDown, Valkey
from app.runtime.embedded import EmbeddedServers


@pytest.fixture
async def valkey(redis_url: str) -> AsyncIterator[Valkey]:
    valkey = Valkey(redis_url, connections_max=2)
    yield valkey
    await valkey.close()


async def test_a_process_that_was_held_up_itself_still_takes_the_reply(valkey: Valkey) -> None:
    await valkey.command("PING")
    asking = asyncio.create_task(valkey.command("PING"))
    await asyncio.sleep(0)
    busy_until = time.monotonic() + 1.5 * ROUND_TRIP_TIMEOUT_S
    while time.monotonic() < busy_until:
        pass
    assert await asking == b"PONG"
    assert not valkey.breaker.is_open()


async def test_a_valkey_that_hangs_is_given_up_and_left_alone_for_a_moment(
    own_servers: EmbeddedServers,
) -> None:
    valkey = Valkey(own_servers.redis_url, connections_max=2)
    await valkey.command("PING")
    pid = own_servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(GateDown):
            await valkey.command("PING")
        gave_up = time.monotonic()
        for _ in range(100):
            with pytest.raises(GateDown):
                await valkey.command("PING")
        assert gave_up - started >= 2 * ROUND_TRIP_TIMEOUT_S
        assert time.monotonic() - gave_up < BREAKER_OPEN_S
    finally:
        os.kill(pid, signal.SIGCONT)
        await valkey.close()


async def test_what_is_told_is_done_and_leaves_no_reply_behind(valkey: Valkey) -> None:
    await valkey.tell([("SET", f"key-{n}", n) for n in range(100)])
    assert await valkey.command("GET", "key-99") == b"99"
    await valkey.tell([("HSET", "key-1", "field", 1)])  # a wrong type: nobody hears of it
    assert await valkey.command("PING") == b"PONG"


async def test_a_server_that_replies_all_the_same_confuses_no_later_call(valkey: Valkey) -> None:
    await valkey.command("ACL", "SETUSER", "default", "-client|reply")
    try:
        with pytest.raises(ResponseError):
            await valkey.tell([("SET", "key", "value")])
        assert await valkey.command("PING") == b"PONG"
        assert not valkey.breaker.is_open()
    finally:
        await valkey.command("ACL", "SETUSER", "default", "+@all")
