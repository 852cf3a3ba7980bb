"""Buyers' tags over HTTP, and rules that ask for tags, channels, regions and first orders."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.rows import put_sku

TEN_OFF: dict[str, Any] = {
    "name": "10 off",
    "lane": "shop",
    "effect": {"kind": "amount_off", "amount_minor": 1_000},
}
FULL, LOWERED = 10_000, 9_000
CART: dict[str, Any] = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 1}]}
UNEXPORTED = ("waiting_outbox",)  # no relay runs beside these tests


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def sku(services: Services) -> None:
    await put_sku(services.pool, "1001", price_minor=FULL, on_hand=100)
    await services.prices.refresh()


@pytest.fixture
def publish(client: httpx.AsyncClient, op: dict[str, str]) -> Any:
    async def call(**condition: Any) -> None:
        answer = await client.put("/admin/promotions/p", json=TEN_OFF | {"condition": condition}, headers=op)
        assert answer.status_code == 200, answer.text

    return call


@pytest.fixture
def payable(client: httpx.AsyncClient) -> Any:
    async def call(headers: dict[str, str], **change: Any) -> int:
        answer = await client.post("/shopping/cal_price/v4_4", json=CART | change, headers=headers)
        assert answer.status_code == 200, answer.text
        amount: int = answer.json()["payable_minor"]
        return amount

    return call


@pytest.fixture
def order(client: httpx.AsyncClient, login: Login) -> Any:
    async def call(payable_minor: int, key: str = "k", **change: Any) -> httpx.Response:
        headers = login() | {"idempotency-key": key}
        body = CART | {"payable_minor": payable_minor} | change
        return await client.post("/shopping/cart/checkout/entries", json=body, headers=headers)

    return call


async def test_a_buyers_tags_are_set_and_read_by_operators_and_services(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    service = login("members", "service")
    assert (await client.get("/admin/buyers/42", headers=op)).json() == {"buyer_id": "42", "tags": []}
    put = await client.put("/admin/buyers/42", json={"tags": ["vip", "gold", "vip"]}, headers=service)
    assert (put.status_code, put.json()) == (200, {"buyer_id": "42", "tags": ["gold", "vip"]})
    assert (await client.get("/admin/buyers/42", headers=service)).json() == put.json()
    for refused, status in (({"tags": [""]}, 400), ({"tags": ["x"] * 33}, 400), ({}, 400)):
        assert (await client.put("/admin/buyers/42", json=refused, headers=op)).status_code == status
    for headers in (login(), login("m", "merchant", "7")):
        assert (await client.put("/admin/buyers/42", json={"tags": []}, headers=headers)).status_code == 403
    assert (await client.get("/admin/buyers/42", headers=op)).json() == put.json()


async def test_a_promotion_for_a_tag_is_for_buyers_who_have_it(
    client: httpx.AsyncClient, op: dict[str, str], login: Login, publish: Any, payable: Any, order: Any
) -> None:
    await publish(buyer_tags=["gold"])
    assert [await payable(login()), await payable({})] == [FULL, FULL]
    await client.put("/admin/buyers/42", json={"tags": ["gold"]}, headers=op)
    assert [await payable(login()), await payable(login("43")), await payable({})] == [LOWERED, FULL, FULL]
    assert (await order(LOWERED)).status_code == 201


async def test_a_promotion_for_a_channel_is_for_apps_that_say_so(
    client: httpx.AsyncClient, login: Login, publish: Any, payable: Any
) -> None:
    await publish(channels=["mini_program"])
    for headers in ({}, login()):
        assert await payable(headers) == FULL
        assert await payable(headers | {"x-channel": "web"}) == FULL
        assert await payable(headers | {"x-channel": "mini_program"}) == LOWERED
    for bad in ("x" * 65, "", "\x7f"):
        refused = await client.post("/shopping/cal_price/v4_4", json=CART, headers={"x-channel": bad})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")


async def test_a_promotion_for_a_region_is_for_carts_that_go_there(
    client: httpx.AsyncClient, login: Login, publish: Any, payable: Any
) -> None:
    await publish(regions=["CN-SH"])
    address = {
        "name": "Lan",
        "phone": "13800138000",
        "country": "CN",
        "region": "CN-SH",
        "city": "Shanghai",
        "street": "1 Nanjing Road",
        "postcode": "200000",
    }
    shanghai = await client.post("/address-api/upsert", json=address, headers=login())
    beijing = await client.post("/address-api/upsert", json=address | {"region": "CN-BJ"}, headers=login())
    assert await payable(login()) == FULL
    assert await payable(login(), address_id=shanghai.json()["address_id"]) == LOWERED
    assert await payable(login(), address_id=beijing.json()["address_id"]) == FULL


async def test_a_first_order_is_one_that_no_other_came_before_unless_that_was_canceled(
    client: httpx.AsyncClient, services: Services, login: Login, publish: Any, payable: Any, order: Any
) -> None:
    await publish(first_order=True)
    assert [await payable(login()), await payable({})] == [LOWERED, FULL]
    first = await order(LOWERED, "1")
    assert first.status_code == 201, first.text
    assert await payable(login()) == FULL
    refused = await order(LOWERED, "2")
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    await assert_audit_clean(services, except_for=UNEXPORTED)
    await client.post(f"/shopping/orders/{first.json()['order_id']}/cancel", headers=login())
    assert await payable(login()) == LOWERED
    assert (await order(LOWERED, "3")).status_code == 201
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_of_first_orders_that_arrive_together_one_is_the_first(
    services: Services, publish: Any, order: Any
) -> None:
    await publish(first_order=True)
    answers = await asyncio.gather(*[order(LOWERED, str(n)) for n in range(8)])
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {(each["code"], each["summary"]["payable_minor"]) for each in refused} == {("price_changed", FULL)}
    assert await services.pool.fetchval("SELECT count(*) FROM orders") == 1
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_a_member_pays_the_members_price(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, payable: Any, order: Any
) -> None:
    prices = {"CNY": {"price_minor": FULL, "member_prices": {"gold": 9_500, "staff": LOWERED}}}
    item = {
        "shop_id": "7",
        "title": "Tea",
        "item_type": "virtual",
        "skus": [{"sku_id": "1001", "prices": prices}],
    }
    put = await client.put("/admin/items/item-1001", json=item, headers=op)
    assert (put.status_code, put.json()["skus"][0]["prices"]["CNY"]["member_prices"]) == (
        200,
        {"gold": 9_500, "staff": LOWERED},
    )
    await client.put("/admin/buyers/42", json={"tags": ["gold", "staff"]}, headers=op)
    assert [await payable(login()), await payable(login("43")), await payable({})] == [LOWERED, FULL, FULL]
    placed = await order(LOWERED)
    assert placed.status_code == 201, placed.text
    line = await services.pool.fetchrow("SELECT * FROM order_line")
    assert (line["unit_price_minor"], line["list_price_minor"], line["discounts"]) == (LOWERED, FULL, None)
    prices["CNY"]["member_prices"] = {"gold": FULL + 1}
    refused = await client.put("/admin/items/item-1001", json=item, headers=op)
    assert refused.status_code == 400
    assert await payable(login()) == LOWERED
