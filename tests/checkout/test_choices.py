"""A choice among promotions on its way into an order: part of the quote, on record, and never believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.conftest import Login
from tests.coupons.calls import CART, cal_price
from tests.rows import put_sku

PATH = "/shopping/cart/checkout/entries"
FULL = 20_000  # two units
TEN = {"effect": {"kind": "percent_off", "percent_bp": 1_000}}
FIVE = {"effect": {"kind": "percent_off", "percent_bp": 500}}
CHOOSES_FIVE = [{"choice_group": "g", "promotion_id": "five"}]
Publish = Callable[..., Awaitable[None]]


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture
def publish(client: httpx.AsyncClient, op: dict[str, str]) -> Publish:
    async def call(promotion_id: str, **fields: Any) -> None:
        document = {"name": promotion_id, "lane": "shop", "choice_group": "g"} | fields
        answer = await client.put(f"/admin/promotions/{promotion_id}", json=document, headers=op)
        assert answer.status_code == 200, answer.text

    return call


@pytest.fixture(autouse=True)
async def rules(services: Services, publish: Publish) -> None:
    await put_sku(services.pool, "1001", price_minor=FULL // 2, on_hand=10)
    await services.prices.refresh()
    await publish("ten", **TEN)
    await publish("five", **FIVE)


@pytest.fixture
def order(client: httpx.AsyncClient, login: Login) -> Callable[..., Awaitable[httpx.Response]]:
    async def call(payable_minor: int, **more: Any) -> httpx.Response:
        headers = login("42") | {"idempotency-key": "k"}
        return await client.post(PATH, json=CART | {"payable_minor": payable_minor} | more, headers=headers)

    return call


async def test_the_order_is_placed_with_what_the_buyer_chose_and_a_replay_agrees(
    client: httpx.AsyncClient, login: Login, op: dict[str, str], order: Any, publish: Publish
) -> None:
    priced = await cal_price(client, login("42"), choices=CHOOSES_FIVE)
    (line,) = priced["shops"][0]["lines"]
    named = [(each["activity_id"], each["choice_group"]) for each in line["activities"]]
    assert named == [("five", "g"), ("ten", "g")]
    assert priced["payable_minor"] == 19_000
    placed = await order(19_000, choices=CHOOSES_FIVE)
    assert placed.status_code == 201, placed.text
    await publish("five", **TEN)
    answer = await client.get(f"/admin/orders/{placed.json()['order_id']}/pricing", headers=op)
    told = answer.json()
    assert [(step["rule_id"], step["gave_minor"]) for step in told["steps"]] == [("five", 1_000)]
    assert (told["adds_up"], told["matches"]) == (True, True)
    assert CHOOSES_FIVE in told["priced_with"]


async def test_an_invented_choice_gives_the_price_that_all_get(
    client: httpx.AsyncClient, login: Login, order: Any, services: Services
) -> None:
    invented = [{"choice_group": "g", "promotion_id": "all-free"}]
    refused = await order(0, choices=invented)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    (told,) = refused.json()["summary"]["rejected"]
    assert told == {
        "kind": "promotion",
        "rule_id": "all-free",
        "name": "",
        "code": "promotion_not_found",
    }
    assert await services.pool.fetchval("SELECT count(*) FROM orders") == 0
    assert (await order(refused.json()["summary"]["payable_minor"], choices=invented)).status_code == 201


async def test_a_quote_with_another_choice_is_of_another_cart(
    client: httpx.AsyncClient, login: Login, order: Any, publish: Publish
) -> None:
    """Its price holds for the cart it was made for, whatever has become of the rule, and for no other."""
    quoted = await cal_price(client, login("42"), choices=CHOOSES_FIVE)
    await publish("five", **FIVE, enabled=False)
    assert (await order(19_000, quote_id=quoted["quote_id"])).status_code == 409
    held = await order(19_000, quote_id=quoted["quote_id"], choices=CHOOSES_FIVE)
    assert held.status_code == 201, held.text


async def test_a_choice_with_an_unknown_field_is_refused(client: httpx.AsyncClient, login: Login) -> None:
    body = CART | {"choices": [{"choice_group": "g", "promotion_id": "ten", "price_minor": 1}]}
    answer = await client.post("/shopping/cal_price/v4_4", json=body, headers=login("42"))
    assert answer.status_code == 400
