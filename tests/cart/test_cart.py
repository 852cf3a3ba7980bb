"""The cart over HTTP: set, list, remove, refuse; each buyer's own."""

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.cart.schemas import CART_ENTRIES_MAX
from tests.conftest import Login

PATH = "/shopping/cart/entries"
PRICES = {"CNY": {"price_minor": 100, "list_price_minor": 100}}


@pytest.fixture
async def shop(client: httpx.AsyncClient, login: Login) -> None:
    """One item with more SKUs than a cart holds."""
    op = login("ann", "op")
    await client.put("/admin/shops/7", json={"name": "Tea", "currency": "CNY"}, headers=op)
    skus = [{"sku_id": f"s{n}", "prices": PRICES} for n in range(CART_ENTRIES_MAX + 1)]
    item = {"shop_id": "7", "title": "Tea", "skus": skus}
    assert (await client.put("/admin/items/tea", json=item, headers=op)).status_code == 200


def contents(answer: httpx.Response) -> dict[str, int]:
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    return {entry["sku_id"]: entry["quantity"] for entry in answer.json()["items"]}


@pytest.mark.usefixtures("shop")
async def test_an_entry_is_set_not_added_and_each_buyer_has_a_cart(
    client: httpx.AsyncClient, login: Login
) -> None:
    mine, other = login("42"), login("43")
    for quantity in (2, 5, 5):
        answer = await client.post(PATH, json={"sku_id": "s1", "quantity": quantity}, headers=mine)
        assert contents(answer) == {"s1": quantity}
    assert answer.json()["items"][0] == {
        "sku_id": "s1", "quantity": 5, "item_id": "tea", "shop_id": "7", "title": "Tea", "attributes": {},
        "prices": PRICES, "on_sale": True,
    }  # fmt: skip
    assert contents(await client.get(PATH, headers=other)) == {}


@pytest.mark.usefixtures("shop")
async def test_entries_are_removed_by_sku_or_all_at_once(client: httpx.AsyncClient, login: Login) -> None:
    mine, other = login("42"), login("43")
    for sku_id in ("s1", "s2", "s3", "s4"):
        await client.post(PATH, json={"sku_id": sku_id, "quantity": 1}, headers=mine)
    await client.post(PATH, json={"sku_id": "s1", "quantity": 1}, headers=other)
    assert contents(await client.delete(f"{PATH}?sku_id=s1&sku_id=nope", headers=mine)) == {
        "s2": 1, "s3": 1, "s4": 1,
    }  # fmt: skip
    assert contents(await client.delete(f"{PATH}?sku_id=s2&sku_id=s3", headers=mine)) == {"s4": 1}
    wrong = await client.request("DELETE", PATH, json={"sku_ids": ["s4"]}, headers=mine)
    assert wrong.status_code == 400
    await client.post(PATH, json={"sku_id": "s5", "quantity": 1}, headers=mine)
    by_body = await client.request("DELETE", PATH, json={"sku_id": "s5"}, headers=mine)
    assert contents(by_body) == {"s4": 1}
    assert contents(await client.delete(PATH, headers=mine)) == {}
    assert contents(await client.get(PATH, headers=other)) == {"s1": 1}


@pytest.mark.usefixtures("shop")
async def test_a_cart_is_bounded(client: httpx.AsyncClient, login: Login) -> None:
    mine = login("42")
    for n in range(CART_ENTRIES_MAX):
        await client.post(PATH, json={"sku_id": f"s{n}", "quantity": 1}, headers=mine)
    last = {"sku_id": f"s{CART_ENTRIES_MAX}", "quantity": 1}
    full = await client.post(PATH, json=last, headers=mine)
    assert (full.status_code, full.json()["code"]) == (409, "cart_full")
    changed = contents(await client.post(PATH, json={"sku_id": "s0", "quantity": 9}, headers=mine))
    assert (len(changed), changed["s0"]) == (CART_ENTRIES_MAX, 9)


@pytest.mark.usefixtures("shop")
async def test_a_sku_that_is_not_sold_cannot_be_added_but_stays_visible(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    mine = login("42")
    unknown = await client.post(PATH, json={"sku_id": "nope", "quantity": 1}, headers=mine)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "sku_not_found")
    await client.post(PATH, json={"sku_id": "s1", "quantity": 1}, headers=mine)
    await services.pool.execute("UPDATE sku SET withdrawn = true WHERE sku_id = 's1'")
    withdrawn = await client.post(PATH, json={"sku_id": "s1", "quantity": 3}, headers=mine)
    assert (withdrawn.status_code, withdrawn.json()["code"]) == (404, "sku_not_found")
    entry = (await client.get(PATH, headers=mine)).json()["items"][0]
    assert (entry["sku_id"], entry["quantity"], entry["on_sale"]) == ("s1", 1, False)


@pytest.mark.usefixtures("shop")
async def test_what_is_out_of_bounds_is_refused(client: httpx.AsyncClient, login: Login) -> None:
    bodies: list[Any] = [
        {"sku_id": "s1", "quantity": 0},
        {"sku_id": "s1", "quantity": 10_000},
        {"sku_id": "s1", "quantity": 10**30},
        {"sku_id": "s1", "quantity": True},
        {"sku_id": "s1", "quantity": "1"},
        {"sku_id": "s1"},
        {"sku_id": "", "quantity": 1},
        {"sku_id": "s1", "quantity": 1, "price_minor": 1},
        [],
    ]
    for body in bodies:
        assert (await client.post(PATH, json=body, headers=login("42"))).status_code == 400, body
    assert contents(await client.get(PATH, headers=login("42"))) == {}


async def test_a_cart_needs_a_buyer(client: httpx.AsyncClient, login: Login) -> None:
    assert (await client.get(PATH)).status_code == 401
    assert (await client.get(PATH, headers=login("ann", "op"))).status_code == 403
