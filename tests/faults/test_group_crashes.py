"""API and worker killed at each step of a group's success and failure, and Valkey flushed at that moment.

Whatever was begun is done by the next process, or has not happened. RUSHCART_FAULT_STEPS=all kills at every
write; by default at one in the middle and in the commit.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import pytest
import redis

from app.runtime.children import Child
from app.runtime.process import end
from tests.faults.groups import PRICE_MINOR, SLOTS, Crowd, open_campaign
from tests.faults.hold import COMMIT, holding
from tests.faults.stack import Stack


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


def strike(stack: Stack, children: Sequence[Child]) -> None:
    end([process for child in children for process in child.process()], ((signal.SIGKILL, 5.0),))
    with redis.Redis.from_url(stack.servers.redis_url) as client:
        client.flushall()


@pytest.mark.parametrize("step", SUCCESS)
async def test_the_worker_killed_when_a_group_succeeds(stack: Stack, step: str) -> None:
    crowd = Crowd(stack, await open_campaign(stack.services, SLOTS, PRICE_MINOR), PRICE_MINOR)
    _, (last,) = await crowd.group(SLOTS - 1, 1)
    attempt = await crowd.attempt(last)
    async with holding(stack.servers.database_url, "worker", step) as hold:
        await crowd.captured(attempt)
        await hold.wait_reached()
        strike(stack, [stack.worker])
    stack.worker.start()
    assert await crowd.judge(SLOTS) == {"SUCCEEDED": 1}


@pytest.mark.parametrize("step", SUCCESS_WITHOUT_GOODS)
async def test_the_worker_killed_when_the_goods_do_not_suffice(stack: Stack, step: str) -> None:
    stock = SLOTS - 1
    item_id = await open_campaign(stack.services, stock, PRICE_MINOR, stock_policy="on_success")
    crowd = Crowd(stack, item_id, PRICE_MINOR)
    _, (last,) = await crowd.group(SLOTS - 1, 1)
    attempt = await crowd.attempt(last)
    async with holding(stack.servers.database_url, "worker", step) as hold:
        await crowd.captured(attempt)
        await hold.wait_reached()
        strike(stack, [stack.worker])
    stack.worker.start()
    assert await crowd.judge(stock) == {"SUCCEEDED": 1}


@pytest.mark.parametrize("step", FAILURE)
async def test_the_worker_killed_when_a_group_fails(stack: Stack, step: str) -> None:
    item_id = await open_campaign(stack.services, SLOTS, PRICE_MINOR, stock_policy="each_member")
    crowd = Crowd(stack, item_id, PRICE_MINOR)
    await crowd.group(SLOTS - 1, 1)
    async with holding(stack.servers.database_url, "worker", step) as hold:
        await crowd.end_groups()
        await hold.wait_reached()
        strike(stack, [stack.worker])
    stack.worker.start()
    assert await crowd.judge(SLOTS) == {"FAILED": 1}


@pytest.mark.parametrize("step", PAYING)
async def test_the_api_killed_when_the_last_member_pays(stack: Stack, step: str) -> None:
    crowd = Crowd(stack, await open_campaign(stack.services, SLOTS, PRICE_MINOR), PRICE_MINOR)
    _, (last,) = await crowd.group(SLOTS - 1, 1)
    attempt = await crowd.attempt(last)
    async with holding(stack.servers.database_url, "api", step) as hold:
        paying = asyncio.create_task(crowd.captured(attempt))
        await hold.wait_reached()
        strike(stack, stack.apis)
    stack.start_apis()
    await paying
    assert await crowd.judge(SLOTS) == {"SUCCEEDED": 1}


@pytest.mark.parametrize("step", JOINING)
async def test_the_api_killed_when_the_last_member_joins(stack: Stack, step: str) -> None:
    crowd = Crowd(stack, await open_campaign(stack.services, SLOTS, PRICE_MINOR), PRICE_MINOR)
    group_id, _ = await crowd.group(SLOTS - 1)
    async with holding(stack.servers.database_url, "api", step) as hold:
        joining = asyncio.create_task(crowd.order("last", group_id))
        await hold.wait_reached()
        strike(stack, stack.apis)
    stack.start_apis()
    word, order_id = await joining
    assert word == "placed"
    await crowd.captured(await crowd.attempt(order_id))
    assert await crowd.judge(SLOTS) == {"SUCCEEDED": 1}
