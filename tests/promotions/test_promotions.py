"""Promotions over HTTP: in force at once, replaced, withdrawn, refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.bootstrap import Services, open_services
from app.http import create_app
from app.settings import Settings
from tests.conftest import Login
from tests.rows import put_sku
from tests.waiting import wait_until

PROMOTION: dict[str, Any] = {
    "name": "Spend 200 save 30",
    "shop_id": None,
    "lane": "shop",
    "priority": 10,
    "exclusive": False,
    "choice_group": None,
    "starts_at": "2020-01-01T00:00:00Z",
    "ends_at": "2100-01-01T00:00:00Z",
    "enabled": True,
    "scope": {"sku_ids": [], "item_ids": [], "category_ids": [], "shop_ids": []},
    "condition": {
        "min_amount_minor": 20_000,
        "min_quantity": None,
        "base": "discounted",
        "regions": [],
        "channels": [],
        "buyer_tags": [],
        "currencies": ["CNY"],
    },
    "effect": {"kind": "amount_off", "amount_minor": 3000, "per": "order"},
    "limits": {
        "max_discount_minor": None,
        "max_quantity": None,
        "budget_minor": None,
        "uses_max": None,
        "uses_per_buyer_max": None,
    },
}
CART = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 2}]}


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await client.put("/admin/shops/7", json={"name": "Lan's Tea", "currency": "CNY"}, headers=op)
    prices = {"CNY": {"price_minor": 10_000, "list_price_minor": 12_000}}
    item = {"shop_id": "7", "title": "Tea", "skus": [{"sku_id": "1001", "prices": prices}]}
    await client.put("/admin/items/tea", json=item, headers=op)


async def payable_minor(client: httpx.AsyncClient) -> int:
    answer = await client.post("/shopping/cal_price/v4_4", json=CART)
    assert answer.status_code == 200, answer.text
    payable: int = answer.json()["payable_minor"]
    return payable


async def test_a_promotion_is_in_force_when_its_call_answers_and_reads_back_as_it_was_sent(
    client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    assert await payable_minor(client) == 20_000
    put = await client.put("/admin/promotions/p-9", json=PROMOTION, headers=op)
    assert (put.status_code, put.json()) == (200, PROMOTION | {"promotion_id": "p-9"})
    assert await payable_minor(client) == 17_000
    assert (await client.get("/admin/promotions/p-9", headers=op)).json() == put.json()
    listed = (await client.get("/admin/promotions", headers=op)).json()
    assert listed == {"items": [put.json()], "next_cursor": None}


async def test_a_changed_promotion_counts_as_changed_and_a_disabled_or_ended_one_not_at_all(
    client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    effect = {"kind": "percent_off", "percent_bp": 1000}
    for change, payable in (
        ({}, 17_000),
        ({"effect": effect}, 18_000),
        ({"enabled": False}, 20_000),
        ({"ends_at": "2021-01-01T00:00:00Z"}, 20_000),
        ({}, 17_000),
    ):
        put = await client.put("/admin/promotions/p-9", json=PROMOTION | change, headers=op)
        assert put.status_code == 200
        assert await payable_minor(client) == payable


async def test_published_changed_and_withdrawn_it_is_in_force_in_another_process_within_a_second(
    client: httpx.AsyncClient, op: dict[str, str], settings: Settings
) -> None:
    other = create_app(settings)
    transport = httpx.ASGITransport(app=other)
    async with (
        open_services(settings, name="other") as services,
        httpx.AsyncClient(transport=transport, base_url="http://rushcart.test") as elsewhere,
    ):
        other.bind(services)
        deeper = {"effect": {"kind": "amount_off", "amount_minor": 5000, "per": "order"}}
        later = {"starts_at": "2099-01-01T00:00:00Z"}
        for change, minor in (
            ({}, 17_000),
            (deeper, 15_000),
            ({"enabled": False}, 20_000),
            ({}, 17_000),
            (later, 20_000),
        ):
            put = await client.put("/admin/promotions/p-9", json=PROMOTION | change, headers=op)
            assert put.status_code == 200, put.text

            async def is_in_force(minor: int = minor) -> bool:
                return await payable_minor(elsewhere) == minor

            await wait_until(is_in_force, limit_s=1.0)


async def test_the_same_document_again_makes_no_new_version(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    for _ in range(3):
        await client.put("/admin/promotions/p-9", json=PROMOTION, headers=op)
    query = "SELECT version FROM snapshot_version WHERE name = 'promotions'"
    assert await services.pool.fetchval(query) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"effect": {"kind": "percent_off", "percent_bp": 10_001}},
        {"effect": {"kind": "percent_off", "percent_bp": 10.5}},
        {"effect": {"kind": "amount_off", "amount_minor": 0}},
        {"effect": {"kind": "amount_off", "amount_minor": 10**30}},
        {"effect": {"kind": "gift", "sku_id": "1001", "quantity": 0}},
        {"effect": {"kind": "bundle", "sku_quantities": {}, "price_minor": 5}},
        {
            "effect": {"kind": "addon_price", "sku_id": "1001", "price_minor": 5},
            "scope": {"sku_ids": ["1001"]},
        },
        {
            "effect": {"kind": "bundle", "sku_quantities": {"1001": 1}, "price_minor": 5},
            "scope": {"sku_ids": ["1002"]},
        },
        {"effect": {"kind": "tiers", "tiers": []}},
        {"effect": {"kind": "tiers", "tiers": [{"min_amount_minor": 5}]}},
        {"effect": {"kind": "tiers", "tiers": [{"min_quantity": 1, "percent_bp": 100}], "repeat": True}},
        {"lane": "moon"},
        {"unknown": 1},
        {"limits": {"budget_minor": 0}},
        {"condition": {"regions": ["Shanghai"]}},
        {"condition": {"first_order": None}},
        {"condition": {"currencies": ["ZZZ"]}},
        {"starts_at": "2100-01-01T00:00:00Z"},
        {"starts_at": "2020-01-01T00:00:00"},
        {"name": ""},
    ],
)
async def test_what_is_malformed_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], change: dict[str, Any]
) -> None:
    refused = await client.put("/admin/promotions/p-9", json=PROMOTION | change, headers=op)
    assert refused.status_code == 400, refused.text
    assert refused.headers["content-type"] == "application/problem+json"
    assert await services.pool.fetchval("SELECT count(*) FROM promotion") == 0
    assert await payable_minor(client) == 20_000


@pytest.mark.parametrize(
    ("effect", "unknown"),
    [
        ({"kind": "bundle", "sku_quantities": {"1001": 1, "x": 2}, "price_minor": 5}, ["x"]),
        ({"kind": "gift", "sku_id": "other"}, ["other"]),
        ({"kind": "addon_price", "sku_id": "gone", "price_minor": 5}, ["gone"]),
    ],
)
async def test_an_effect_with_skus_that_are_not_on_sale_in_the_shop_is_refused_and_changes_nothing(
    client: httpx.AsyncClient,
    services: Services,
    op: dict[str, str],
    effect: dict[str, Any],
    unknown: list[str],
) -> None:
    await put_sku(services.pool, "other", shop_id="8")
    await put_sku(services.pool, "gone")
    await services.pool.execute("UPDATE sku SET withdrawn = true WHERE sku_id = 'gone'")
    document = PROMOTION | {"shop_id": "7", "effect": effect}
    refused = await client.put("/admin/promotions/p", json=document, headers=op)
    assert (refused.status_code, refused.json()["code"]) == (422, "effect_sku_unknown")
    assert refused.json()["sku_ids"] == unknown
    template = {"name": "T", "shop_id": "7", "effect": effect, "valid_days": 7}
    refused = await client.put("/admin/coupon_templates/t", json=template, headers=op)
    assert (refused.status_code, refused.json()["code"]) == (422, "effect_sku_unknown")
    for table in ("promotion", "coupon_template"):
        assert await services.pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    switched_off = await client.put("/admin/promotions/p", json=document | {"enabled": False}, headers=op)
    assert switched_off.status_code == 200


async def test_a_merchant_has_the_promotions_of_its_own_shop_only(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    own, other = login("m", "merchant", "7"), login("n", "merchant", "8")
    of_shop = PROMOTION | {"shop_id": "7"}
    assert (await client.put("/admin/promotions/mine", json=of_shop, headers=own)).status_code == 200
    for document in (of_shop, PROMOTION):
        refused = await client.put("/admin/promotions/mine", json=document, headers=other)
        assert refused.status_code == 403
    assert (await client.put("/admin/promotions/all", json=PROMOTION, headers=own)).status_code == 403
    assert (await client.get("/admin/promotions/mine", headers=other)).status_code == 403
    assert (await client.get("/admin/promotions", headers=other)).json()["items"] == []
    assert await services.pool.fetchval("SELECT string_agg(promotion_id, ' ') FROM promotion") == "mine"
    assert (await client.put("/admin/promotions/x", json=PROMOTION, headers=login())).status_code == 403


async def test_a_merchant_cannot_take_over_another_shops_promotion(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await client.put("/admin/shops/8", json={"name": "Other", "currency": "CNY"}, headers=op)
    await client.put("/admin/promotions/p", json=PROMOTION | {"shop_id": "7"}, headers=op)
    theirs = PROMOTION | {"shop_id": "8"}
    refused = await client.put("/admin/promotions/p", json=theirs, headers=login("n", "merchant", "8"))
    assert refused.status_code == 403
    assert await services.pool.fetchval("SELECT shop_id FROM promotion") == "7"


async def test_a_promotion_of_an_unknown_shop_or_name_is_not_found(
    client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    unknown = await client.put("/admin/promotions/p", json=PROMOTION | {"shop_id": "9"}, headers=op)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "shop_not_found")
    missing = await client.get("/admin/promotions/p", headers=op)
    assert (missing.status_code, missing.json()["code"]) == (404, "promotion_not_found")
