"""API and worker killed at each step of a group's success and failure, and Valkey flushed at that moment.

Whatever was begun is done by the next process, or has not happened. RUSHCART_FAULT_STEPS=all kills at every
write; by default at one in the middle and in the commit.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import pytest
import redis

from app.runtime.process import end
from tests.faults.groups import PRICE_MINOR, SLOTS, Crowd, open_campaign
from tests.faults.hold import COMMIT, holding
from tests.faults.stack import Stack

Result = TypeVar("Result")


def steps(*tables: str) -> Sequence[str]:
    """All of them, or one in the middle and the last: each costs the start of a process."""
    if os.environ.get("RUSHCART_FAULT_STEPS") == "all":
        return tables
    return [tables[len(tables) // 2], tables[-1]]


SUCCESS = steps("buy_group", "orders", "group_order", "stock_pool", "stock_movement", "outbox", COMMIT)
SUCCESS_WITHOUT_GOODS = steps(
    "buy_group", "order_line", "pay_order", "refund", "refund_line", "outbox", COMMIT
)
FAILURE = steps("orders", "group_order", "pay_order", "refund", "refund_line", "outbox", COMMIT)
PAYING = steps("payment_order", "pay_order", "ledger_entry", "orders", "buy_group", "outbox", COMMIT)
JOINING = steps("idempotency", "orders", "order_line", "pay_order", "group_order", "stock_movement", COMMIT)


async def killed_at(stack: Stack, process: str, step: str, act: Coroutine[Any, Any, Result]) -> Result:
    """Does `act`, kills the process at that write, starts it again; leaves what `act` leaves."""
    children = [stack.worker] if process == "worker" else stack.apis
    async with holding(stack.servers.database_url, process, step) as hold:
        acting = asyncio.create_task(act)
        await hold.wait_reached()
        end([each for child in children for each in child.process()], ((signal.SIGKILL, 5.0),))
        with redis.Redis.from_url(stack.servers.redis_url) as client:
            client.flushall()
    for child in children:
        child.start()
    return await acting


async def open_crowd(stack: Stack, stock: int = SLOTS, policy: str = "last_member") -> Crowd:
    item_id = await open_campaign(stack.services, stock, PRICE_MINOR, stock_policy=policy)
    return Crowd(stack, item_id, PRICE_MINOR)


@pytest.mark.parametrize("step", SUCCESS)
async def test_the_worker_killed_when_a_group_succeeds(stack: Stack, step: str) -> None:
    crowd = await open_crowd(stack)
    _, (last,) = await crowd.group(SLOTS - 1, 1)
    await killed_at(stack, "worker", step, crowd.captured(await crowd.attempt(last)))
    assert await crowd.judge(SLOTS) == {"SUCCEEDED": 1}


@pytest.mark.parametrize("step", SUCCESS_WITHOUT_GOODS)
async def test_the_worker_killed_when_the_goods_do_not_suffice(stack: Stack, step: str) -> None:
    crowd = await open_crowd(stack, SLOTS - 1, "on_success")
    _, (last,) = await crowd.group(SLOTS - 1, 1)
    await killed_at(stack, "worker", step, crowd.captured(await crowd.attempt(last)))
    assert await crowd.judge(SLOTS - 1) == {"SUCCEEDED": 1}


@pytest.mark.parametrize("step", FAILURE)
async def test_the_worker_killed_when_a_group_fails(stack: Stack, step: str) -> None:
    crowd = await open_crowd(stack, policy="each_member")
    await crowd.group(SLOTS - 1, 1)
    await killed_at(stack, "worker", step, crowd.end_groups())
    assert await crowd.judge(SLOTS) == {"FAILED": 1}


@pytest.mark.parametrize("step", PAYING)
async def test_the_api_killed_when_the_last_member_pays(stack: Stack, step: str) -> None:
    crowd = await open_crowd(stack)
    _, (last,) = await crowd.group(SLOTS - 1, 1)
    await killed_at(stack, "api", step, crowd.captured(await crowd.attempt(last)))
    assert await crowd.judge(SLOTS) == {"SUCCEEDED": 1}


@pytest.mark.parametrize("step", JOINING)
async def test_the_api_killed_when_the_last_member_joins(stack: Stack, step: str) -> None:
    crowd = await open_crowd(stack)
    group_id, _ = await crowd.group(SLOTS - 1)
    word, order_id = await killed_at(stack, "api", step, crowd.order("last", group_id))
    assert word == "placed"
    await crowd.captured(await crowd.attempt(order_id))
    assert await crowd.judge(SLOTS) == {"SUCCEEDED": 1}
