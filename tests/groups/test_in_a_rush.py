"""Who runs a campaign is not held up by the crowd that buys in it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import count

from app.groups.ledger import place_batch
from tests.groups.conftest import Shop
from tests.groups.test_slot_gate import draft
from tests.waiting import wait_until

# Processes that take orders. Of two the campaign's row is free now and then, of four never.
PROCESSES = 4
BATCH = 30
# It would wait for ever. Its turn comes after the batches that have begun, some 20 ms each.
BATCHES_MEANWHILE_MAX = 20 * PROCESSES


async def test_a_campaign_is_withdrawn_while_several_processes_take_orders_for_it(shop: Shop) -> None:
    await shop.open(stock=100_000)
    over = asyncio.Event()
    batches = 0

    async def take_orders(process: int) -> None:
        nonlocal batches
        for number in count():
            buyers = [f"{process}-{number}-{n}" for n in range(BATCH)]
            drafts = [await draft(shop, buyer) for buyer in buyers]
            await place_batch(shop.services.pool, drafts, shop.clock.now(), timedelta(minutes=15))
            batches += 1
            if over.is_set():
                return

    async def rush_is_on() -> bool:
        return batches >= 2 * PROCESSES

    rush = [asyncio.create_task(take_orders(process)) for process in range(PROCESSES)]
    try:
        await wait_until(rush_is_on)
        before = batches
        path = f"/op/campaigns/{shop.campaign['campaign_id']}/withdraw"
        withdrawn = await shop.call(shop.op, "POST", path, {"reason": "a wrong price"})
        assert batches - before < BATCHES_MEANWHILE_MAX
    finally:
        over.set()
        await asyncio.gather(*rush)
    assert withdrawn["status"] == "ENDED"
    await shop.services.redis.flushall()  # nobody has told the gates
