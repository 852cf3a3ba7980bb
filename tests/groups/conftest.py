"""A campaign on sale, and buyers who start, join and pay: what the tests of groups share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from app.bootstrap import Services
from app.events_in.signature import sign
from app.lib.clock import OffsetClock
from app.settings import Settings
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.sandbox.process import API_KEY, SECRET, SandboxProcess

Headers = dict[str, str]
PRICE_MINOR = 8_000


@pytest.fixture
def settings(database_url: str, redis_url: str, provider: SandboxProcess) -> Settings:
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        event_secrets=(SECRET,),
        sandbox_url=provider.url,
        sandbox_api_key=API_KEY,
    )


class Shop:
    """The shop 7 with a campaign for its virtual tea (SKU 1001), and everybody's calls."""

    def __init__(
        self, services: Services, client: httpx.AsyncClient, login: Login, clock: OffsetClock
    ) -> None:
        self.services, self.client, self.login, self.clock = services, client, login, clock
        self.op = login("ann", "op")
        self.merchant = login("mei", "merchant", shop_id="7")
        self.campaign: dict[str, Any] = {}

    async def call(
        self,
        headers: Headers,
        method: str,
        path: str,
        body: Any = None,
        status: int = 200,
        key: str | None = None,
    ) -> Any:
        keyed = headers | {"Idempotency-Key": key or uuid4().hex}
        answer = await self.client.request(method, path, json=body, headers=keyed)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def open(
        self,
        *,
        stock: int = 100,
        skus: tuple[str, ...] = ("1001",),
        sale_price_minor: int = PRICE_MINOR,
        **fields: Any,
    ) -> None:
        """A published campaign of groups of three."""
        await self.call(self.op, "PUT", "/admin/shops/7", {"name": "Tea", "currency": "CNY"})
        item = {
            "shop_id": "7",
            "title": "Tea",
            "item_type": "virtual",
            "skus": [{"sku_id": each, "prices": {"CNY": {"price_minor": 10_000}}} for each in skus],
        }
        await self.call(self.op, "PUT", "/admin/items/tea", item)
        for sku_id in skus:
            await self.call(self.op, "PUT", f"/admin/skus/{sku_id}/stock", {"on_hand": stock})
        now = self.clock.now()
        document = {
            "item_id": "tea",
            "name": "Tea with friends",
            "starts_at": (now - timedelta(hours=1)).isoformat(),
            "ends_at": (now + timedelta(hours=9)).isoformat(),
            "orders_to_succeed": 3,
            "group_open_s": 3600,
            "items": [
                {
                    "sku_id": sku_id,
                    "currency": "CNY",
                    "sale_price_minor": sale_price_minor,
                    "settlement_price_minor": 7000,
                    "total_stock": stock,
                }
                for sku_id in skus
            ],
        }
        campaign = await self.call(self.merchant, "POST", "/merchant/campaigns", document | fields, 201)
        path = campaign["campaign_id"]
        await self.call(self.merchant, "POST", f"/merchant/campaigns/{path}/submit")
        await self.call(self.op, "POST", f"/op/campaigns/{path}/review", {"all": {"passed": True}})
        self.campaign = await self.call(self.op, "POST", f"/op/campaigns/{path}/publish")

    def order_body(self, group_id: str | None = None, quantity: int = 1, **fields: Any) -> dict[str, Any]:
        return {
            "campaign_item_id": self.campaign["items"][0]["campaign_item_id"],
            "quantity": quantity,
            "payable_minor": PRICE_MINOR * quantity,
            "group_id": group_id,
        } | fields

    async def order(
        self,
        buyer: str,
        group_id: str | None = None,
        *,
        status: int = 201,
        key: str | None = None,
        **fields: Any,
    ) -> Any:
        body = self.order_body(group_id, **fields)
        return await self.call(self.login(buyer), "POST", "/groupbuy/orders", body, status, key)

    async def start_payment(self, buyer: str, order_id: str) -> Any:
        body = {"channel": "sandbox", "method": "card"}
        return await self.call(self.login(buyer), "POST", f"/shopping/orders/{order_id}/payments", body, 201)

    async def captured(self, payment: Any, amount_minor: int = PRICE_MINOR) -> None:
        """The provider tells that the money was taken."""
        data = {
            "payment_id": payment["payment_id"],
            "channel": "sandbox",
            "psp_reference": "PSP",
            "status": "captured",
            "amount_minor": amount_minor,
            "currency": "CNY",
        }
        await self.tell("payment_notified_cm", data)

    async def tell(self, event_type: str, data: dict[str, Any]) -> None:
        body = msgspec.json.encode(
            {"event_id": uuid4().hex, "type": event_type, "occurred_at": self.clock.now(), "data": data}
        )
        signed = {"X-Signature": sign(SECRET, body, int(self.clock.now().timestamp()))}
        headers = signed | {"Content-Type": "application/json"}
        answer = await self.client.post(f"/event/{event_type}", content=body, headers=headers)
        assert answer.status_code == 200, answer.text

    async def paid(self, buyer: str, group_id: str | None = None, quantity: int = 1, **fields: Any) -> str:
        """An order that is paid; leaves its id. Of who starts a group that is the group's id, too."""
        order = await self.order(buyer, group_id, quantity=quantity, **fields)
        await self.captured(await self.start_payment(buyer, order["order_id"]), PRICE_MINOR * quantity)
        order_id: str = order["order_id"]
        return order_id

    async def refunded(self, order_id: str) -> None:
        """The provider has given the money of this order back."""
        row = await self.services.pool.fetchrow("SELECT * FROM refund WHERE order_id = $1", int(order_id))
        assert row is not None, "no refund was asked for"
        data = {
            "refund_id": str(row["refund_id"]),
            "psp_reference": "PSP",
            "status": "succeeded",
            "amount_minor": row["amount_minor"],
            "currency": row["currency"],
        }
        await self.tell("refund_notified", data)

    async def group(self, group_id: str) -> Any:
        return await self.call({}, "GET", f"/groupbuy/groups/{group_id}")

    async def states(self, *order_ids: str) -> list[tuple[str, str]]:
        """(group order, order) of each."""
        rows = await self.services.pool.fetch(
            "SELECT order_id::text, g.status AS group_order, o.status AS order FROM orders AS o "
            "JOIN group_order AS g USING (order_id) WHERE order_id = ANY($1)",
            [int(each) for each in order_ids],
        )
        found = {row["order_id"]: (row["group_order"], row["order"]) for row in rows}
        return [found[each] for each in order_ids]

    async def pool(self, sku_id: str = "1001") -> tuple[int, int]:
        """(on hand, reserved) of the campaign's own stock."""
        row = await self.services.pool.fetchrow(
            "SELECT on_hand, reserved FROM stock_pool WHERE sku_id = $1 AND activity_id <> '0'", sku_id
        )
        assert row is not None
        return row["on_hand"], row["reserved"]

    async def audit(self) -> None:
        await assert_audit_clean(
            self.services, except_for={"waiting_outbox", "waiting_payments", "waiting_refunds"}
        )


@pytest.fixture
async def shop(
    services: Services, client: httpx.AsyncClient, login: Login, clock: OffsetClock
) -> AsyncIterator[Shop]:
    """Whatever a test does, the audit is clean afterwards."""
    made = Shop(services, client, login, clock)
    yield made
    await made.audit()
