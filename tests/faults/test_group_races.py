"""What meets at one instant, at two API processes and a worker: each race in many groups at once.

RUSHCART_FAULT_RACES=200 runs each race so many times; by default a few.
"""

from __future__ import annotations

import asyncio
import os

from app.campaigns.end import withdraw
from tests.faults.groups import OP, PRICE_MINOR, SLOTS, Crowd, open_campaign
from tests.faults.stack import Stack

RACES = int(os.environ.get("RUSHCART_FAULT_RACES", "8"))
LAST_SLOT_BUYERS = 500


async def open_crowd(stack: Stack, stock: int = SLOTS * RACES, **fields: str) -> Crowd:
    item_id = await open_campaign(stack.services, stock, PRICE_MINOR, **fields)
    return Crowd(stack, item_id, PRICE_MINOR)


async def groups_of(crowd: Crowd, paid: int, unpaid: int = 0) -> list[tuple[str, list[str]]]:
    return await asyncio.gather(*[crowd.group(paid, unpaid, f"g{n}") for n in range(RACES)])


async def test_500_buyers_for_the_last_slot(stack: Stack) -> None:
    crowd = await open_crowd(stack, SLOTS)
    group_id, _ = await crowd.group(SLOTS - 1)

    async def join(n: int) -> tuple[str, str]:
        async with crowd.at_once:
            return await crowd.order(f"b{n}", group_id)

    told = await asyncio.gather(*[join(n) for n in range(LAST_SLOT_BUYERS)])
    words = [word for word, _ in told]
    assert (words.count("placed"), words.count("group_full")) == (1, LAST_SLOT_BUYERS - 1)
    await crowd.captured(await crowd.attempt(max(order_id for _, order_id in told)))
    assert await crowd.judge(SLOTS) == {"SUCCEEDED": 1}


async def test_both_last_members_pay_at_one_instant(stack: Stack) -> None:
    crowd = await open_crowd(stack)
    groups = await groups_of(crowd, 1, 2)
    attempts = [await crowd.attempt(order_id) for _, members in groups for order_id in members]
    await asyncio.gather(*[crowd.captured(each) for each in attempts])
    assert await crowd.judge(SLOTS * RACES) == {"SUCCEEDED": RACES}


async def test_one_buyer_joins_twice_and_pays_twice_at_one_instant(stack: Stack) -> None:
    crowd = await open_crowd(stack)
    groups = await groups_of(crowd, SLOTS - 1)
    joins = [crowd.order(f"twin{n}", group_id, key)
             for n, (group_id, _) in enumerate(groups) for key in ("one", "other")]  # fmt: skip
    told = await asyncio.gather(*joins)
    words = [word for word, _ in told]
    assert (words.count("placed"), len(words)) == (RACES, 2 * RACES)
    assert set(words) <= {"placed", "already_member"}
    placed = [order_id for word, order_id in told if word == "placed"]
    attempts = [await crowd.attempt(order_id) for order_id in placed for _ in range(2)]
    await asyncio.gather(*[crowd.captured(each) for each in attempts])
    assert await crowd.judge(SLOTS * RACES) == {"SUCCEEDED": RACES}


async def test_payment_against_expiry_at_the_second(stack: Stack) -> None:
    crowd = await open_crowd(stack)
    groups = await groups_of(crowd, SLOTS - 1, 1)
    attempts = [await crowd.attempt(members[0]) for _, members in groups]
    # The worker looks once a second: within the second that follows it finds them, while the money comes.
    await crowd.end_groups()
    for attempt in attempts:
        await crowd.captured(attempt)
    ended = await crowd.judge(SLOTS * RACES)
    print(f"payment against expiry: {ended}")
    assert sum(ended.values()) == RACES


async def test_success_against_withdrawal(stack: Stack) -> None:
    crowd = await open_crowd(stack)
    groups = await groups_of(crowd, SLOTS - 1, 1)
    attempts = [await crowd.attempt(members[0]) for _, members in groups]
    campaign_id = await crowd.pool.fetchval(
        "SELECT campaign_id FROM campaign_item WHERE campaign_item_id = $1", int(crowd.item_id)
    )
    # At the next look of the worker, within a second, groups are full, or of a campaign that is withdrawn.
    for number, attempt in enumerate(attempts):
        if number == len(attempts) // 4:
            await withdraw(stack.services, OP, campaign_id, "fake")
        await crowd.captured(attempt)
    ended = await crowd.judge(SLOTS * RACES)
    print(f"success against withdrawal: {ended}")
    assert sum(ended.values()) == RACES


async def test_a_refund_asked_for_at_the_moment_of_success(stack: Stack) -> None:
    crowd = await open_crowd(stack)
    groups = await groups_of(crowd, SLOTS - 1, 1)

    async def ask_until_taken(buyer: str, order_id: str) -> None:
        """A member who waits cannot; from the success on it is an order like any other."""
        for n in range(1_000):
            answer = await crowd.post(buyer, "/refund/refund", {"order_id": order_id}, f"ask-{n}")
            if answer.status_code == 202:
                return
            assert answer.json()["code"] == "order_not_refundable"
        raise AssertionError(f"{order_id} never succeeded")

    attempts = [await crowd.attempt(members[0]) for _, members in groups]
    asking = asyncio.gather(*[ask_until_taken(f"g{n}-0", group_id) for n, (group_id, _) in enumerate(groups)])
    for attempt in attempts:
        await crowd.captured(attempt)
    await asking
    assert await crowd.judge(SLOTS * RACES) == {"SUCCEEDED": RACES}
    refunded = await crowd.pool.fetchval(
        "SELECT count(*) FROM group_order JOIN orders USING (order_id) WHERE campaign_item_id = $1"
        " AND orders.status = 'CLOSED'",
        int(crowd.item_id),
    )
    assert refunded == RACES


async def test_the_last_members_of_many_groups_for_the_last_stock(stack: Stack) -> None:
    stock = SLOTS * (RACES // 2) + 1
    crowd = await open_crowd(stack, stock)
    groups = await groups_of(crowd, SLOTS - 1)
    told = await asyncio.gather(*[crowd.order(f"l{n}", group_id) for n, (group_id, _) in enumerate(groups)])
    words = [word for word, _ in told]
    assert (words.count("placed"), words.count("out_of_stock")) == (RACES // 2, RACES - RACES // 2)
    attempts = [await crowd.attempt(order_id) for word, order_id in told if word == "placed"]
    await asyncio.gather(*[crowd.captured(each) for each in attempts])
    await crowd.end_groups()
    assert await crowd.judge(stock) == {"SUCCEEDED": RACES // 2, "FAILED": RACES - RACES // 2}
