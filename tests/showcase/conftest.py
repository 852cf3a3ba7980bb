"""A market of several shops, items and campaigns, and a second process that looks at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services, open_services
from app.lib.clock import OffsetClock
from app.settings import Settings
from tests.conftest import Login
from tests.groups.conftest import Shop
from tests.groups.conftest import settings as settings  # with the sandbox provider: groups begin when paid

NORMAL_MINOR = 10_000


class Market(Shop):
    """The shop of the groups' tests, with more to sell."""

    async def put_item(self, item_id: str, *sku_ids: str, shop_id: str = "7", stock: int = 100) -> None:
        shop = {"name": f"Shop {shop_id}", "currency": "CNY"}
        await self.call(self.op, "PUT", f"/admin/shops/{shop_id}", shop)
        skus = [{"sku_id": each, "prices": {"CNY": {"price_minor": NORMAL_MINOR}}} for each in sku_ids]
        item = {"shop_id": shop_id, "title": item_id.title(), "item_type": "virtual", "skus": skus}
        await self.call(self.op, "PUT", f"/admin/items/{item_id}", item)
        for sku_id in sku_ids:
            await self.call(self.op, "PUT", f"/admin/skus/{sku_id}/stock", {"on_hand": stock})

    async def draft(
        self,
        item_id: str,
        prices: dict[str, int],
        *,
        stock: int = 10,
        currency: str = "CNY",
        shop_id: str = "7",
        **fields: Any,
    ) -> Any:
        """A reviewed campaign that sells these SKUs at these prices, in groups of three."""
        now = self.clock.now()
        document = {
            "item_id": item_id,
            "name": "With friends",
            "starts_at": (now - timedelta(hours=1)).isoformat(),
            "ends_at": (now + timedelta(hours=9)).isoformat(),
            "orders_to_succeed": 3,
            "group_open_s": 3600,
            "items": [
                {
                    "sku_id": sku_id,
                    "currency": currency,
                    "sale_price_minor": price_minor,
                    "settlement_price_minor": price_minor - 1,
                    "total_stock": stock,
                }
                for sku_id, price_minor in prices.items()
            ],
        }
        merchant = self.login("mei", "merchant", shop_id=shop_id)
        campaign = await self.call(merchant, "POST", "/merchant/campaigns", document | fields, 201)
        await self.call(merchant, "POST", f"/merchant/campaigns/{campaign['campaign_id']}/submit")
        await self.act(campaign, "review", {"all": {"passed": True}})
        return campaign

    async def publish(self, item_id: str, prices: dict[str, int], **fields: Any) -> Any:
        """A campaign on sale; orders of this market are for its first SKU from here on."""
        campaign = await self.draft(item_id, prices, **fields)
        self.campaign = await self.act(campaign, "publish")
        return self.campaign

    async def act(self, campaign: Any, action: str, body: Any = None) -> Any:
        return await self.call(self.op, "POST", f"/op/campaigns/{campaign['campaign_id']}/{action}", body)

    async def withdraw(self, campaign: Any) -> None:
        await self.act(campaign, "withdraw", {"reason": "recalled"})

    async def set_sale(self, campaign: Any, sell_status: str, index: int = 0) -> None:
        path = f"/merchant/campaign_items/{campaign['items'][index]['campaign_item_id']}/sell_status"
        await self.call(self.merchant, "PUT", path, {"sell_status": sell_status})

    async def get(self, path: str, status: int = 200, **params: str) -> Any:
        """As somebody who has not logged in."""
        answer = await self.client.get(path, params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def shown(self, *item_ids: str) -> list[tuple[str, str, int]]:
        """(item, SKU, price) of what is shown, as `POST groupbuy/campaigns/query` answers."""
        body = {"item_ids": list(item_ids)}
        found = await self.call({}, "POST", "/groupbuy/campaigns/query", body)
        return [offered(each) for each in found["items"]]


def offered(entry: Any) -> tuple[str, str, int]:
    return entry["item_id"], entry["offer"]["sku_id"], entry["offer"]["sale_price_minor"]


@pytest.fixture
async def market(
    services: Services, client: httpx.AsyncClient, login: Login, clock: OffsetClock
) -> AsyncIterator[Market]:
    """The item tea (SKUs 1001, 1002) of shop 7 and pot (2001) of shop 8; in the end the audit is clean."""
    made = Market(services, client, login, clock)
    await made.put_item("tea", "1001", "1002")
    await made.put_item("pot", "2001", shop_id="8")
    yield made
    await made.audit()


@pytest.fixture
async def other(settings: Settings, clock: OffsetClock) -> AsyncIterator[Services]:
    """Another process of the same installation."""
    async with open_services(settings, name="other", clock=clock) as services:
        yield services
