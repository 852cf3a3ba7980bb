"""Shops and items over HTTP: created, replaced, repeated, refused."""

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.conftest import Login

SHOP = {"name": "Lan's Tea", "currency": "CNY", "freight_template_id": None}
PRICES = {"CNY": {"price_minor": 10000, "list_price_minor": 12000}}
ITEM: dict[str, Any] = {
    "shop_id": "7",
    "title": "Tea",
    "item_type": "physical",
    "category_ids": ["tea"],
    "freight_template_id": None,
    "skus": [
        {"sku_id": "1001", "attributes": {"size": "L"}, "weight_grams": 250, "prices": PRICES},
        {"sku_id": "1002", "attributes": {"size": "S"}, "prices": {"CNY": {"price_minor": 6000}}},
    ],
}


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


async def catalog_version(services: Services) -> int:
    version: int = await services.pool.fetchval("SELECT version FROM snapshot_version WHERE name = 'catalog'")
    return version


async def test_a_shop_and_an_item_are_created_and_read_back(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    shop = await client.put("/admin/shops/7", json=SHOP, headers=op)
    assert (shop.status_code, shop.json()) == (200, {"shop_id": "7", **SHOP})
    item = await client.put("/admin/items/tea", json=ITEM, headers=op)
    assert item.status_code == 200
    rest = {"reserve_on": "place", "withdrawn": False}
    assert item.json() == ITEM | {
        "item_id": "tea",
        "skus": [
            ITEM["skus"][0] | rest,
            ITEM["skus"][1]
            | rest
            | {"weight_grams": 0, "prices": {"CNY": {"price_minor": 6000, "list_price_minor": 6000}}},
        ],
    }
    assert (await client.get("/admin/items/tea", headers=op)).json() == item.json()
    assert (await client.get("/admin/shops/7", headers=op)).json() == shop.json()
    pools = await services.pool.fetch("SELECT sku_id, activity_id, on_hand FROM stock_pool ORDER BY sku_id")
    assert [tuple(pool) for pool in pools] == [("1001", "0", 0), ("1002", "0", 0)]


async def test_the_same_document_again_changes_nothing_and_another_one_stamps_what_it_changes(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    for _ in range(2):
        await client.put("/admin/shops/7", json=SHOP, headers=op)
        await client.put("/admin/items/tea", json=ITEM, headers=op)
        assert await catalog_version(services) == 2
    dearer = {**ITEM["skus"][1], "prices": {"CNY": {"price_minor": 7000}}}
    await client.put("/admin/items/tea", json=ITEM | {"skus": [ITEM["skus"][0], dearer]}, headers=op)
    assert await catalog_version(services) == 3
    assert await services.pool.fetchval("SELECT version FROM sku WHERE sku_id = '1001'") == 2
    assert await services.pool.fetchval("SELECT version FROM sku WHERE sku_id = '1002'") == 3
    assert await services.pool.fetchval("SELECT version FROM item") == 2


async def test_a_sku_that_is_not_listed_any_more_is_withdrawn_and_comes_back_when_listed(
    client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    await client.put("/admin/shops/7", json=SHOP, headers=op)
    await client.put("/admin/items/tea", json=ITEM, headers=op)
    without = await client.put("/admin/items/tea", json=ITEM | {"skus": ITEM["skus"][:1]}, headers=op)
    assert {sku["sku_id"]: sku["withdrawn"] for sku in without.json()["skus"]} == {
        "1001": False,
        "1002": True,
    }
    back = await client.put("/admin/items/tea", json=ITEM, headers=op)
    assert [sku["withdrawn"] for sku in back.json()["skus"]] == [False, False]


async def test_a_merchant_changes_and_sees_its_own_shop_only(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await client.put("/admin/shops/7", json=SHOP, headers=op)
    await client.put("/admin/shops/8", json=SHOP, headers=op)
    own, other = login("m", "merchant", "7"), login("n", "merchant", "8")
    assert (await client.put("/admin/items/tea", json=ITEM, headers=own)).status_code == 200
    version = await catalog_version(services)
    refused = [
        await client.put("/admin/items/tea", json=ITEM, headers=other),
        await client.put("/admin/shops/7", json=SHOP, headers=other),
        await client.get("/admin/items/tea", headers=other),
        await client.put("/admin/shops/7", json=SHOP, headers=login("42")),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(403, "forbidden")] * 4
    for document, code in [
        (ITEM | {"shop_id": "8"}, "item_of_other_shop"),
        (ITEM | {"shop_id": "8", "title": "Mine now"}, "item_of_other_shop"),
    ]:
        taken = await client.put("/admin/items/tea", json=document, headers=other)
        assert (taken.status_code, taken.json()["code"]) == (409, code)
    stolen = await client.put("/admin/items/new", json=ITEM | {"shop_id": "8"}, headers=other)
    assert (stolen.status_code, stolen.json()["code"]) == (409, "sku_of_other_shop")
    assert stolen.json()["sku_ids"] == ["1001", "1002"]
    assert await catalog_version(services) == version
    assert (await client.get("/admin/items", headers=other)).json() == {"items": [], "next_cursor": None}
    listed = (await client.get("/admin/shops", headers=own)).json()["items"]
    assert [shop["shop_id"] for shop in listed] == ["7"]


# As JSON writes the text of an escape; without the first character it is the escape itself.
BACKSLASHED = b"\\\\u0000"
OUT_OF_BOUNDS: list[dict[str, Any]] = [
    {"color": "red"},
    {"title": ""},
    {"title": "a\nb"},
    {"title": "Tea\\u0000"},
    {"item_type": "ghost"},
    {"category_ids": ["c"] * 33},
    {"skus": [ITEM["skus"][0], ITEM["skus"][0]]},
    {"skus": [{"sku_id": "1", "prices": {}}]},
    {"skus": [{"sku_id": "1", "prices": {"cny": {"price_minor": 1}}}]},
    {"skus": [{"sku_id": "1", "prices": {"XYZ": {"price_minor": 1}}}]},
    {"skus": [{"sku_id": "1", "prices": {"CNY": {"price_minor": -1}}}]},
    {"skus": [{"sku_id": "1", "prices": {"CNY": {"price_minor": 1.5}}}]},
    {"skus": [{"sku_id": "1", "prices": {"CNY": {"price_minor": "1"}}}]},
    {"skus": [{"sku_id": 1, "prices": PRICES}]},
    {"skus": [{"sku_id": "1", "prices": {"CNY": {"price_minor": 10**13}}}]},
    {"skus": [{"sku_id": "1", "prices": {"CNY": {"price_minor": 2, "list_price_minor": 1}}}]},
    {"skus": [{"sku_id": "x" * 65, "prices": PRICES}]},
]


async def test_what_is_out_of_bounds_is_refused(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await client.put("/admin/shops/7", json=SHOP, headers=op)
    for change in OUT_OF_BOUNDS:
        text = httpx.Request("PUT", "/", json=ITEM | change).content.replace(BACKSLASHED, BACKSLASHED[1:])
        answer = await client.put("/admin/items/tea", content=text, headers=op)
        assert answer.status_code == 400, change
    assert await catalog_version(services) == 1
    assert await services.pool.fetchval("SELECT count(*) FROM item") == 0


async def test_an_item_of_an_unknown_shop_is_refused(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    answer = await client.put("/admin/items/tea", json=ITEM, headers=op)
    assert (answer.status_code, answer.json()["code"]) == (404, "shop_not_found")
    assert (await client.get("/admin/items/tea", headers=op)).json()["code"] == "item_not_found"


async def test_lists_come_in_pages(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await client.put("/admin/shops/7", json=SHOP, headers=op)
    for number in range(3):
        skus = [{"sku_id": str(number), "prices": PRICES}]
        await client.put(f"/admin/items/i{number}", json=ITEM | {"skus": skus}, headers=op)
    first = (await client.get("/admin/items?limit=2", headers=op)).json()
    assert [item["item_id"] for item in first["items"]] == ["i0", "i1"]
    assert first["next_cursor"] == "after:i1"
    second = (await client.get("/admin/items?limit=2&cursor=after:i1&shop_id=7", headers=op)).json()
    assert ([item["item_id"] for item in second["items"]], second["next_cursor"]) == (["i2"], None)
    for query in ("limit=0", "limit=201", "limit=x", "cursor=i1", "shop_id=" + "x" * 65):
        assert (await client.get(f"/admin/items?{query}", headers=op)).status_code == 400


async def test_ids_in_the_path_are_bounded(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    assert (await client.put("/admin/shops/" + "x" * 64, json=SHOP, headers=op)).status_code == 200
    for shop_id in ("x" * 65, "a%00b", "a%0a"):
        assert (await client.put(f"/admin/shops/{shop_id}", json=SHOP, headers=op)).status_code == 400


async def test_an_item_may_be_larger_than_a_buyers_call(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await client.put("/admin/shops/7", json=SHOP, headers=op)
    skus = [{"sku_id": f"s{n}", "prices": PRICES} for n in range(2048)]
    assert (await client.put("/admin/items/tea", json=ITEM | {"skus": skus}, headers=op)).status_code == 200
    assert await services.pool.fetchval("SELECT count(*) FROM stock_pool") == 2048
    skus[0] = skus[0] | {"attributes": {"size": "x" * (2 << 20)}}
    too_large = await client.put("/admin/items/tea", json=ITEM | {"skus": skus}, headers=op)
    assert (too_large.status_code, too_large.json()["code"]) == (413, "body_too_large")
