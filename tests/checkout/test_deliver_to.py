"""Where orders go, over HTTP: the address as it is when the order is written, and who is refused for it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.conftest import Login
from tests.rows import put_sku

HOME: dict[str, Any] = {
    "address_id": None, "name": "Lan", "phone": "13800138000", "country": "CN", "region": "CN-SH",
    "city": "Shanghai", "street": "Nanjing Lu 1", "postcode": "200000",
}  # fmt: skip

Save = Callable[..., Awaitable[str]]
Buy = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def save(client: httpx.AsyncClient, login: Login) -> Save:
    async def call(buyer_id: str, **change: Any) -> str:
        answer = await client.post("/address-api/upsert", json=HOME | change, headers=login(buyer_id))
        address_id: str = answer.json()["address_id"]
        return address_id

    return call


@pytest.fixture
def buy(client: httpx.AsyncClient, login: Login) -> Buy:
    """One of each SKU, for 100.00 each."""

    async def call(buyer_id: str, address_id: str | None, *sku_ids: str, key: str = "once") -> httpx.Response:
        body = {
            "currency": "CNY",
            "lines": [{"sku_id": sku_id, "quantity": 1} for sku_id in sku_ids or ("1001",)],
            "payable_minor": 10_000 * max(len(sku_ids), 1),
            "address_id": address_id,
        }
        headers = {**login(buyer_id), "idempotency-key": key}
        return await client.post("/shopping/cart/checkout/entries", json=body, headers=headers)

    return call


@pytest.fixture(autouse=True)
async def goods(services: Services) -> None:
    """1001 of shop 7 and 2001 of shop 8 are sent, 1002 is not."""
    await put_sku(services.pool, "1001", item_type="physical", on_hand=10)
    await put_sku(services.pool, "1002", on_hand=10)
    await put_sku(services.pool, "2001", item_type="physical", on_hand=10, shop_id="8")
    await services.prices.refresh()


async def test_one_refused_address_leaves_its_neighbours_in_the_batch_their_orders(
    save: Save, buy: Buy, client: httpx.AsyncClient, login: Login, services: Services
) -> None:
    homes = {buyer_id: await save(buyer_id, name=buyer_id) for buyer_id in ("1", "2", "3")}
    blocking = "/admin/blocked_addresses/buyer/3"
    assert (await client.put(blocking, json={}, headers=login("ann", "op"))).status_code == 200
    answers = await asyncio.gather(
        buy("1", homes["1"]),
        buy("2", homes["1"]),  # somebody else's
        buy("3", homes["3"]),  # on the blocklist
        buy("4", "9" * 40),  # nobody's
        buy("5", None, "1002"),
        buy("2", homes["2"], key="another"),
    )
    refusals = [(answer.status_code, answer.json().get("code")) for answer in answers]
    assert refusals == [
        (201, None),
        (422, "address_invalid"),
        (422, "address_blocked"),
        (422, "address_invalid"),
        (201, None),
        (201, None),
    ]
    rows = await services.pool.fetch("SELECT buyer_id, address FROM orders ORDER BY buyer_id")
    assert [(row["buyer_id"], row["address"]) for row in rows] == [
        ("1", HOME | {"address_id": homes["1"], "name": "1"}),
        ("2", HOME | {"address_id": homes["2"], "name": "2"}),
        ("5", None),
    ]
    assert await services.pool.fetchval("SELECT sum(reserved)::int FROM stock_pool") == 3
    assert await services.pool.fetchval("SELECT count(*) FROM idempotency") == 3


async def test_a_parent_and_its_children_keep_the_address_also_when_it_changes_later(
    save: Save, buy: Buy, services: Services
) -> None:
    home = await save("42")
    assert (await buy("42", home, "1001", "2001")).status_code == 201
    await save("42", address_id=home, street="Elsewhere 2")
    kept = await services.pool.fetch("SELECT address FROM orders")
    assert [row["address"] for row in kept] == [HOME | {"address_id": home}] * 3


async def test_a_retry_gets_its_order_also_when_nothing_is_sent_there_any_more(
    save: Save, buy: Buy, client: httpx.AsyncClient, login: Login, services: Services
) -> None:
    home = await save("42")
    first = await buy("42", home)
    await client.put("/admin/blocked_addresses/phone/13800138000", json={}, headers=login("ann", "op"))
    again = await buy("42", home)
    assert (again.status_code, again.content) == (201, first.content)
    other = await buy("42", home, key="another")
    assert (other.status_code, other.json()["code"]) == (422, "address_blocked")
    assert await services.pool.fetchval("SELECT count(*) FROM orders") == 1
