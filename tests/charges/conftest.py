"""A shop whose goods are sent and taxed, over HTTP: what the tests of freight and tax begin with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.bootstrap import Services
from tests.conftest import Login

HOME: dict[str, Any] = {
    "address_id": None, "name": "Lan", "phone": "13800000000", "country": "CN", "region": "CN-SH",
    "city": "上海", "street": "1 Nanjing Road", "postcode": "200001",
}  # fmt: skip
# 10.00 for the first kilogram, 2.00 for each further half; 15.00 to the far west
FREIGHT: dict[str, Any] = {
    "shop_id": "7",
    "currency": "CNY",
    "name": "By weight",
    "rules": [
        {
            "regions": ["CN-SH", "CN-BJ"],
            "basis": "weight",
            "first": {"upto": 1000, "fee_minor": 1000},
            "then": {"step": 500, "fee_minor": 200},
        },
        {"regions": ["CN-XJ"], "basis": "quantity", "first": {"upto": 1, "fee_minor": 1500}},
    ],
}

Put = Callable[..., Awaitable[Any]]


@pytest.fixture
def put(client: httpx.AsyncClient, login: Login) -> Put:
    """An operator puts a document, and it is taken."""

    async def call(path: str, document: dict[str, Any]) -> Any:
        answer = await client.put(f"/admin/{path}", json=document, headers=login("ann", "op"))
        assert answer.status_code == 200, answer.text
        return answer.json()

    return call


@pytest.fixture
async def shop(put: Put) -> None:
    """Shop 7 with a template, and two SKUs of 250 and 300 grams for 30.00 and 20.00."""
    await put("shops/7", {"name": "Lan's Tea", "currency": "CNY"})
    await put("freight_templates/t", FREIGHT)
    await put("shops/7", {"name": "Lan's Tea", "currency": "CNY", "freight_template_id": "t"})
    skus = [("1001", 3000, 250), ("1002", 2000, 300)]
    await put(
        "items/tea",
        {
            "shop_id": "7",
            "title": "Tea",
            "skus": [
                {"sku_id": sku_id, "weight_grams": grams, "prices": {"CNY": {"price_minor": price_minor}}}
                for sku_id, price_minor, grams in skus
            ],
        },
    )
    for sku_id, _, _ in skus:
        await put(f"skus/{sku_id}/stock", {"on_hand": 10})


class Buyer:
    """Buyer 42, who has an address and a cart."""

    def __init__(self, client: httpx.AsyncClient, services: Services, headers: dict[str, str]) -> None:
        self.client, self.services, self.headers = client, services, headers

    async def address(self, **change: Any) -> str:
        answer = await self.client.post("/address-api/upsert", json=HOME | change, headers=self.headers)
        assert answer.status_code == 200, answer.text
        address_id: str = answer.json()["address_id"]
        return address_id

    async def price(self, quantities: dict[str, int], **more: Any) -> Any:
        answer = await self.client.post(
            "/shopping/cal_price/v4_4", json=_cart(quantities, **more), headers=self.headers
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def place(self, quantities: dict[str, int], payable_minor: int, **more: Any) -> httpx.Response:
        return await self.client.post(
            "/shopping/cart/checkout/entries",
            json=_cart(quantities, payable_minor=payable_minor, **more),
            headers={**self.headers, "idempotency-key": uuid4().hex},
        )

    async def orders(self) -> int:
        count: int = await self.services.pool.fetchval("SELECT count(*) FROM orders")
        return count


def _cart(quantities: dict[str, int], **more: Any) -> dict[str, Any]:
    lines = [{"sku_id": sku_id, "quantity": quantity} for sku_id, quantity in quantities.items()]
    return {"currency": "CNY", "lines": lines} | more


@pytest.fixture
def buyer(client: httpx.AsyncClient, services: Services, login: Login) -> Buyer:
    return Buyer(client, services, login("42"))
