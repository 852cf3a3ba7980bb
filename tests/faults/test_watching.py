"""Watchers of a group at real processes: each change reaches all of them, a flush and a stop included."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import redis

from tests.faults.groups import Crowd, open_campaign
from tests.faults.stack import Stack
from tests.waiting import wait_until

# The chance that all of them are at one of two processes is 2 in 2^20.
WATCHERS = 20
CHANGE_LIMIT_S = 15.0
# Far less than the server would wait for answers that do not end (DRAIN_S, app/runtime/serve.py).
STOP_LIMIT_S = 10.0


async def test_each_change_reaches_every_watcher_and_a_stop_lets_go_of_them(stack: Stack) -> None:
    crowd = Crowd(stack, await open_campaign(stack.services, 10))
    async with AsyncExitStack() as closing:
        await closing.enter_async_context(crowd.http)
        http = await closing.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=30))
        _, group_id = await crowd.buy("a")
        streams = []
        for _ in range(WATCHERS):
            path = f"{stack.address}/groupbuy/groups/{group_id}/stream"
            answer = await closing.enter_async_context(http.stream("GET", path))
            streams.append(answer.aiter_lines())
        await asyncio.gather(*[until_said(each, '"members_paid":1') for each in streams])
        with redis.Redis.from_url(stack.servers.redis_url) as client:
            client.flushall()
        assert (await crowd.buy("b", group_id))[0] == "paid"
        await asyncio.gather(*[until_said(each, '"members_paid":2') for each in streams])
        for api in stack.apis:
            assert api.pid is not None
            os.kill(api.pid, signal.SIGTERM)
        async with asyncio.timeout(STOP_LIMIT_S):
            for each in streams:
                async for _ in each:  # what was on its way, and then the end
                    pass

        async def stopped() -> bool:
            return all(api.pid is None for api in stack.apis)

        await wait_until(stopped, STOP_LIMIT_S)


async def until_said(lines: AsyncIterator[str], words: str) -> None:
    """Read on until an event says so."""
    async with asyncio.timeout(CHANGE_LIMIT_S):
        async for line in lines:
            if words in line:
                return
    raise AssertionError(f"the stream ended before {words}")
