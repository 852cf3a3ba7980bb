"""A rush for groups, with real processes: no group gets more members than slots, each full one succeeds.

RUSHCART_FAULT_BUYERS=2000 lets so many buyers loose; by default 200.
"""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
import redis

from app.bootstrap import Services
from app.campaigns import draft, publish, review
from app.campaigns.schemas import AllDecision, CampaignDocument, CampaignItemDocument, Review
from app.lib.auth import Caller, make_token
from app.runtime.process import end
from tests.faults.judge import judge_at_rest
from tests.faults.stack import Stack
from tests.rows import put_sku
from tests.waiting import wait_until

BUYERS = int(os.environ.get("RUSHCART_FAULT_BUYERS", "200"))
SLOTS = 3
AT_ONCE = 100
SETTLED_LIMIT_S = 30.0
OP = Caller("ann", "op")


async def open_campaign(services: Services, stock: int) -> str:
    """Groups of three of a SKU of its own that costs nothing, so that it is paid by the call for it."""
    name = uuid4().hex[:8]
    await put_sku(services.pool, name, shop_id=f"shop-{name}", on_hand=stock, item_type="virtual")
    return await publish_campaign(services, name, stock)


async def publish_campaign(services: Services, name: str, stock: int) -> str:
    """Of a SKU that is there; leaves the campaign item's id."""
    item_id = await services.pool.fetchval("SELECT item_id FROM sku WHERE sku_id = $1", name)
    now = services.clock.now()
    campaign = await draft.create(
        services,
        OP,
        CampaignDocument(
            item_id=item_id,
            name=name,
            starts_at=now - timedelta(hours=1),
            ends_at=now + timedelta(hours=1),
            orders_to_succeed=SLOTS,
            group_open_s=3_600,
            items=[CampaignItemDocument(name, "CNY", 0, 0, stock)],
        ),
    )
    campaign_id = int(campaign.campaign_id)
    await review.submit(services, OP, campaign_id)
    await review.review(services, OP, campaign_id, Review(all=AllDecision(True)))
    published = await publish.publish(services, OP, campaign_id)
    return published.items[0].campaign_item_id


class Crowd:
    """Buyers with a connection a call: the kernel spreads them over the processes."""

    def __init__(self, stack: Stack, item_id: str) -> None:
        self.stack, self.item_id = stack, item_id
        self.at_once = asyncio.Semaphore(AT_ONCE)

    async def buy(self, http: httpx.AsyncClient, buyer: str, group_id: str | None) -> tuple[str, str]:
        """(what became of it, order id); asked again with the same key until there is a clear word."""
        body = {"campaign_item_id": self.item_id, "quantity": 1, "payable_minor": 0, "group_id": group_id}
        async with self.at_once:
            placed = await self._post(http, buyer, "/groupbuy/orders", body)
            if placed.status_code != 201:
                return placed.json()["code"], ""
            order_id: str = placed.json()["order_id"]
            paid = await self._post(
                http, buyer, f"/shopping/orders/{order_id}/payments", {"channel": "sandbox"}
            )
            assert paid.status_code == 201, paid.text
            return "paid", order_id

    async def _post(self, http: httpx.AsyncClient, buyer: str, path: str, body: object) -> httpx.Response:
        token = make_token(self.stack.services.settings, sub=buyer, role="buyer")
        headers = {"authorization": f"Bearer {token}", "idempotency-key": "once", "connection": "close"}
        while True:
            try:
                answer = await http.post(f"{self.stack.address}{path}", json=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.1)  # the process is gone; another one is there in a moment
                continue
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(float(answer.headers["retry-after"]))


@pytest.mark.parametrize("strike", ["nothing", "api killed", "worker killed", "valkey flushed"])
async def test_buyers_for_the_last_slots_of_a_few_groups(stack: Stack, strike: str) -> None:
    groups = BUYERS // 20
    crowd = Crowd(stack, await open_campaign(stack.services, groups * SLOTS))
    async with httpx.AsyncClient(
        trust_env=False, timeout=30, limits=httpx.Limits(max_connections=AT_ONCE)
    ) as http:
        starts = await asyncio.gather(
            *[crowd.buy(http, f"{crowd.item_id}-s{n}", None) for n in range(groups)]
        )
        assert {word for word, _ in starts} == {"paid"}
        group_ids = [order_id for _, order_id in starts]
        rush = asyncio.gather(
            *[crowd.buy(http, f"{crowd.item_id}-{n}", group_ids[n % groups]) for n in range(BUYERS)]
        )
        await _strike(stack, strike)
        told = await rush
    # A group that has succeeded meanwhile is over.
    assert {word for word, _ in told} <= {"paid", "group_full", "group_over"}
    assert sum(word == "paid" for word, _ in told) == groups * (SLOTS - 1)

    async def settled() -> bool:
        found = await stack.services.pool.fetch(
            "SELECT status, count(*) AS n FROM buy_group WHERE group_id = ANY($1) GROUP BY status",
            [int(each) for each in group_ids],
        )
        return [(row["status"], row["n"]) for row in found] == [("SUCCEEDED", groups)]

    await wait_until(settled, SETTLED_LIMIT_S)
    members = "SELECT count(*) FROM orders WHERE activity_id = $1 AND status = 'PENDING_SHIPMENT'"
    activity = await stack.services.pool.fetchval(
        "SELECT 'campaign:' || campaign_id FROM campaign_item WHERE campaign_item_id = $1", int(crowd.item_id)
    )
    assert await stack.services.pool.fetchval(members, activity) == groups * SLOTS
    await judge_at_rest(stack)


async def _strike(stack: Stack, strike: str) -> None:
    """In the middle: when the first of the crowd have been served."""
    if strike == "valkey flushed":
        with redis.Redis.from_url(stack.servers.redis_url) as client:
            client.flushall()
    elif strike != "nothing":
        child = stack.worker if strike == "worker killed" else stack.apis[0]
        end(child.process(), ((signal.SIGKILL, 5.0),))
        child.start()
