"""A rush for groups, with real processes: no group gets more members than slots, each full one succeeds.

RUSHCART_FAULT_BUYERS=2000 lets so many buyers loose; by default 200.
"""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
import redis

from app.runtime.process import end
from tests.faults.groups import SLOTS, Crowd, open_campaign
from tests.faults.stack import Stack

BUYERS = int(os.environ.get("RUSHCART_FAULT_BUYERS", "200"))


@pytest.mark.parametrize("strike", ["nothing", "api killed", "worker killed", "valkey flushed"])
async def test_buyers_for_the_last_slots_of_a_few_groups(stack: Stack, strike: str) -> None:
    groups = BUYERS // 20
    stock = groups * SLOTS
    crowd = Crowd(stack, await open_campaign(stack.services, stock))
    starts = await asyncio.gather(*[crowd.buy(f"s{n}") for n in range(groups)])
    assert {word for word, _ in starts} == {"paid"}
    group_ids = [order_id for _, order_id in starts]
    rush = asyncio.gather(*[crowd.buy(f"{n}", group_ids[n % groups]) for n in range(BUYERS)])
    await _strike(stack, strike)
    told = await rush
    # A group that has succeeded meanwhile is over.
    assert {word for word, _ in told} <= {"paid", "group_full", "group_over"}
    assert sum(word == "paid" for word, _ in told) == groups * (SLOTS - 1)
    assert await crowd.judge(stock) == {"SUCCEEDED": groups}


async def _strike(stack: Stack, strike: str) -> None:
    """In the middle: when the first of the crowd have been served."""
    if strike == "valkey flushed":
        with redis.Redis.from_url(stack.servers.redis_url) as client:
            client.flushall()
    elif strike != "nothing":
        child = stack.worker if strike == "worker killed" else stack.apis[0]
        end(child.process(), ((signal.SIGKILL, 5.0),))
        child.start()
