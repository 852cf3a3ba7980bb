"""Groups of real processes: a campaign, buyers with a connection a call, and what must hold in the end.

Money is told by signed events, as a provider does: `captured` for a payment, `succeeded` for every refund.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from app.bootstrap import Services
from app.campaigns import draft, publish, review
from app.campaigns.schemas import AllDecision, CampaignDocument, CampaignItemDocument, Review
from app.events_in.signature import sign
from app.lib.auth import Caller, make_token
from tests.faults.judge import judge_at_rest
from tests.faults.stack import Stack
from tests.rows import put_sku
from tests.waiting import wait_until

SLOTS = 3
PRICE_MINOR = 8_000
AT_ONCE = 100
SETTLED_LIMIT_S = 30.0
OP = Caller("ann", "op")
# A campaign's group orders, with what was paid for each, and how often that has gone back.
ORDERS = """
SELECT g.*, o.status AS order_status,
    (SELECT count(*) FROM payment_order AS p
     WHERE p.order_id = g.order_id AND p.status = 'CAPTURED') AS captures,
    (SELECT count(*) FROM refund AS r
     WHERE r.order_id = g.order_id AND r.status = 'SUCCEEDED' AND r.amount_minor > 0) AS refunds
FROM group_order AS g JOIN orders AS o USING (order_id) WHERE campaign_item_id = $1
"""


async def open_campaign(services: Services, stock: int, price_minor: int = 0, **fields: Any) -> str:
    """Groups of three of a SKU of its own; one that costs nothing is paid by the call for it."""
    name = uuid4().hex[:8]
    await put_sku(services.pool, name, shop_id=f"shop-{name}", on_hand=stock, item_type="virtual")
    return await publish_campaign(services, name, stock, price_minor, **fields)


async def publish_campaign(
    services: Services, name: str, stock: int, price_minor: int = 0, **fields: Any
) -> str:
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
            items=[CampaignItemDocument(name, "CNY", price_minor, price_minor, stock)],
            **fields,
        ),
    )
    campaign_id = int(campaign.campaign_id)
    await review.submit(services, OP, campaign_id)
    await review.review(services, OP, campaign_id, Review(all=AllDecision(True)))
    published = await publish.publish(services, OP, campaign_id)
    return published.items[0].campaign_item_id


class Crowd:
    """Buyers with a connection a call: the kernel spreads them over the processes."""

    def __init__(self, stack: Stack, item_id: str, price_minor: int = 0) -> None:
        self.stack, self.item_id, self.price_minor = stack, item_id, price_minor
        self.pool = stack.services.pool
        self.at_once = asyncio.Semaphore(AT_ONCE)
        limits = httpx.Limits(max_connections=AT_ONCE)
        self.http = httpx.AsyncClient(trust_env=False, timeout=30, limits=limits)

    async def order(self, buyer: str, group_id: str | None = None, key: str = "once") -> tuple[str, str]:
        """(what became of it, order id)."""
        body = {"campaign_item_id": self.item_id, "quantity": 1, "payable_minor": self.price_minor}
        placed = await self.post(buyer, "/groupbuy/orders", body | {"group_id": group_id}, key)
        if placed.status_code != 201:
            return placed.json()["code"], ""
        return "placed", placed.json()["order_id"]

    async def buy(self, buyer: str, group_id: str | None = None) -> tuple[str, str]:
        """The same and pay, where it costs nothing."""
        async with self.at_once:
            word, order_id = await self.order(buyer, group_id)
            if word != "placed":
                return word, ""
            path = f"/shopping/orders/{order_id}/payments"
            paid = await self.post(buyer, path, {"channel": "sandbox"})
            assert paid.status_code == 201, paid.text
            return "paid", order_id

    async def post(self, who: str, path: str, body: object, key: str = "once") -> httpx.Response:
        """Asked again with the same key until there is a clear word."""
        token = make_token(self.stack.services.settings, sub=f"{self.item_id}-{who}", role="buyer")
        headers = {"authorization": f"Bearer {token}", "idempotency-key": key, "connection": "close"}
        return await self._send(path, headers, msgspec.json.encode(body))

    async def _send(self, path: str, headers: dict[str, str], body: bytes) -> httpx.Response:
        headers = headers | {"content-type": "application/json", "connection": "close"}
        while True:
            try:
                answer = await self.http.post(f"{self.stack.address}{path}", content=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.1)  # the process is gone; another one is there in a moment
                continue
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(float(answer.headers["retry-after"]))

    async def group(self, paid: int, unpaid: int = 0, name: str = "") -> tuple[str, list[str]]:
        """A group with so many who have paid, and so many who have not yet: its id, and theirs."""
        group_id = await self._member(f"{name}-0", None)
        await self.captured(await self.attempt(group_id))
        for n in range(1, paid):
            await self.captured(await self.attempt(await self._member(f"{name}-{n}", group_id)))
        return group_id, [await self._member(f"{name}-{n}", group_id) for n in range(paid, paid + unpaid)]

    async def _member(self, buyer: str, group_id: str | None) -> str:
        word, order_id = await self.order(buyer, group_id)
        assert word == "placed", word
        return order_id

    async def attempt(self, order_id: str) -> str:
        """An attempt to pay that is open at the provider."""
        payment_id = self.stack.services.ids.next()
        await self.pool.execute(
            "INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, status, currency,"
            " amount_minor, created_at, updated_at, poll_at)"
            " SELECT $1, order_id, buyer_id, 'sandbox', 'card', 'PENDING', currency, payable_minor, now(),"
            " now(), now() + interval '1 hour' FROM orders WHERE order_id = $2",
            payment_id,
            int(order_id),
        )
        return str(payment_id)

    async def captured(self, payment_id: str) -> None:
        """The provider tells that the money was taken."""
        data = {"payment_id": payment_id, "channel": "sandbox", "status": "captured"}
        await self.tell("payment_notified_cm", data, self.price_minor)

    async def tell(self, event_type: str, data: dict[str, Any], amount_minor: int) -> None:
        data = data | {"psp_reference": "PSP", "amount_minor": amount_minor, "currency": "CNY"}
        event = {"event_id": uuid4().hex, "type": event_type, "data": data}
        body = msgspec.json.encode(event | {"occurred_at": self.stack.services.clock.now()})
        secret = self.stack.services.settings.event_secrets[0]
        answer = await self._send(
            f"/event/{event_type}", {"x-signature": sign(secret, body, int(time.time()))}, body
        )
        assert answer.status_code == 200, answer.text

    async def end_groups(self, after_s: float = 0.0) -> None:
        """So many seconds from now the time of all open groups is over, the grace included."""
        await self.pool.execute(
            "UPDATE buy_group SET ends_at = now() + make_interval(secs => $2 - 15) WHERE status = 'OPEN'"
            " AND campaign_id = (SELECT campaign_id FROM campaign_item WHERE campaign_item_id = $1)",
            int(self.item_id),
            after_s,
        )

    async def judge(self, stock: int) -> dict[str, int]:
        """Wait until nobody waits for anything, then see that everything holds: how many groups ended how."""
        await wait_until(self._is_settled, SETTLED_LIMIT_S)
        await self._give_back()
        orders = await self.pool.fetch(ORDERS, int(self.item_id))
        kept = [row for row in orders if row["order_status"] == "PENDING_SHIPMENT"]
        assert {row["status"] for row in kept} <= {"SUCCEEDED"}
        assert len(kept) <= stock
        if self.price_minor:
            wrong = [dict(row) for row in orders if row["captures"] - row["refunds"] != (row in kept)]
            assert wrong == []
        groups = await self._groups()
        for group_id in groups:
            members = [row for row in orders if row["group_id"] == group_id and row["status"] == "SUCCEEDED"]
            assert len(members) <= SLOTS
            assert len({row["buyer_id"] for row in members}) == len(members)
        await judge_at_rest(self.stack)
        await self.http.aclose()
        return {each: list(groups.values()).count(each) for each in set(groups.values())}

    async def _groups(self) -> dict[int, str]:
        rows = await self.pool.fetch(
            "SELECT group_id, b.status FROM buy_group AS b JOIN campaign_item USING (campaign_id)"
            " WHERE campaign_item_id = $1",
            int(self.item_id),
        )
        return {row["group_id"]: row["status"] for row in rows}

    async def _is_settled(self) -> bool:
        open_groups = "OPEN" in (await self._groups()).values()
        waiting = await self.pool.fetchval(
            "SELECT count(*) FROM group_order WHERE campaign_item_id = $1 AND (status = 'PAID' OR stray)",
            int(self.item_id),
        )
        return not open_groups and not waiting

    async def _give_back(self) -> None:
        refunds = await self.pool.fetch(
            "SELECT refund_id, amount_minor FROM refund AS r JOIN group_order USING (order_id)"
            " WHERE campaign_item_id = $1 AND r.status <> 'SUCCEEDED'",
            int(self.item_id),
        )
        for row in refunds:
            data = {"refund_id": str(row["refund_id"]), "status": "succeeded"}
            await self.tell("refund_notified", data, row["amount_minor"])
