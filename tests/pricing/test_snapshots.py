"""The price book follows the ledger, in this process and in others."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.bootstrap import Services, open_services
from app.settings import Settings
from tests.conftest import Login

SHOP = {"name": "Lan's Tea", "currency": "CNY"}
ITEM: dict[str, Any] = {
    "shop_id": "7",
    "title": "Tea",
    "category_ids": ["tea"],
    "skus": [
        {"sku_id": "1001", "attributes": {"size": "L"}, "prices": {"CNY": {"price_minor": 10_000}}},
        {"sku_id": "1002", "prices": {"JPY": {"price_minor": 60, "list_price_minor": 70}}},
    ],
}


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


async def put_catalog(client: httpx.AsyncClient, op: dict[str, str], item: dict[str, Any] = ITEM) -> None:
    assert (await client.put("/admin/shops/7", json=SHOP, headers=op)).status_code == 200
    assert (await client.put("/admin/items/tea", json=item, headers=op)).status_code == 200


async def until(condition: Any, limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - the book has no event to wait for
            await asyncio.sleep(0.01)


async def test_a_change_is_in_the_book_before_its_call_answers(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await put_catalog(client, op)
    sku = services.prices.book.skus["1001"]
    pool_id = await services.pool.fetchval("SELECT pool_id FROM stock_pool WHERE sku_id = '1001'")
    assert (sku.item_id, sku.shop_id, sku.title, sku.category_ids) == ("tea", "7", "Tea", ("tea",))
    assert (sku.prices, sku.attributes) == ({"CNY": (10_000, 10_000)}, {"size": "L"})
    assert (sku.pool_id, sku.reserve_on, sku.item_type) == (pool_id, "place", "physical")
    assert services.prices.book.skus["1002"].prices == {"JPY": (60, 70)}
    assert services.prices.book.shops["7"].currency == "CNY"


async def test_only_what_changed_is_read_and_a_withdrawn_sku_leaves(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await put_catalog(client, op)
    before = services.prices.book
    kept = {**ITEM["skus"][0], "prices": {"CNY": {"price_minor": 9_000}}}
    await put_catalog(client, op, {**ITEM, "skus": [kept]})
    assert set(services.prices.book.skus) == {"1001"}
    assert services.prices.book.skus["1001"].prices == {"CNY": (9_000, 9_000)}
    assert set(before.skus) == {"1001", "1002"}  # whoever still prices with it keeps its view


async def test_an_items_change_reaches_its_skus(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await put_catalog(client, op)
    await put_catalog(client, op, {**ITEM, "category_ids": ["tea", "new"], "title": "Green tea"})
    assert services.prices.book.skus["1001"].category_ids == ("tea", "new")
    assert services.prices.book.skus["1002"].title == "Green tea"


async def test_another_process_sees_a_change_within_a_second(
    client: httpx.AsyncClient, settings: Settings, op: dict[str, str]
) -> None:
    async with open_services(settings, name="other") as other:
        await put_catalog(client, op)
        await until(lambda: "1001" in other.prices.book.skus, limit_s=1.0)


async def test_a_process_that_starts_reads_everything(
    client: httpx.AsyncClient, services: Services, settings: Settings, op: dict[str, str]
) -> None:
    await put_catalog(client, op)
    async with open_services(settings, name="other") as other:
        assert set(other.prices.book.skus) == {"1001", "1002"}


async def test_a_flash_sale_is_in_the_book_with_its_items(services: Services, client: Any, op: Any) -> None:
    await put_catalog(client, op)
    await services.pool.execute(
        """
        WITH sale AS (
            INSERT INTO flash_sale (activity_id, name, starts_at, ends_at, version)
            VALUES ('noon', 'Noon', '2027-01-01T00:00Z', '2027-01-01T01:00Z', 1)
        ), pool AS (
            INSERT INTO stock_pool (sku_id, activity_id) VALUES ('1001', 'noon') RETURNING pool_id
        ), item AS (
            INSERT INTO flash_sale_item SELECT 'noon', '1001', 'CNY', 5000, 100, 1, pool_id FROM pool
        )
        UPDATE snapshot_version SET version = 1 WHERE name = 'flash_sales'
        """
    )
    await services.prices.refresh()
    sale = services.prices.book.flash_sales["noon"]
    assert (sale.starts_at_ms, sale.ends_at_ms, sale.ended) == (1_798_761_600_000, 1_798_765_200_000, False)
    item = sale.items["1001"]
    assert (item.price_minor, item.currency, item.quantity, item.per_buyer_max) == (5000, "CNY", 100, 1)


async def test_the_book_follows_the_ledger_again_after_a_lost_connection(services: Services) -> None:
    await services.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await services.pool.execute("INSERT INTO shop VALUES ('7', 'Lan', 'CNY', 1)")
    await services.pool.execute("UPDATE snapshot_version SET version = 1 WHERE name = 'catalog'")
    await until(lambda: "7" in services.prices.book.shops)
