"""The price book follows the ledger, in this process and in others."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.bootstrap import Services, open_services
from app.lib import metrics
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


async def test_a_flash_sale_prices_carts_as_soon_as_its_call_has_answered(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await put_catalog(client, op)
    await client.put("/admin/skus/1001/stock", json={"on_hand": 10}, headers=op)
    item = {"sku_id": "1001", "currency": "CNY", "price_minor": 5000, "quantity": 4, "per_buyer_max": 2}
    sale = {"name": "Noon", "starts_at": "2020-01-01T00:00:00Z", "ends_at": "2100-01-01T00:00:00Z"}
    published = await client.put("/admin/flash_sales/noon", json=sale | {"items": [item]}, headers=op)
    assert published.status_code == 200, published.text
    kept = services.prices.book.flash_sales["noon"]
    assert (kept.starts_at_ms, kept.ends_at_ms, kept.ended) == (1_577_836_800_000, 4_102_444_800_000, False)
    pool_id = await services.pool.fetchval("SELECT pool_id FROM stock_pool WHERE activity_id = 'noon'")
    assert kept.items["1001"].pool_id == pool_id
    cart = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 2}]}
    flash = cart | {"mode": "flash", "activity_id": "noon"}
    assert (await client.post("/shopping/cal_price/v4_4", json=flash)).json()["payable_minor"] == 10_000
    assert (await client.post("/shopping/cal_price/v4_4", json=cart)).json()["payable_minor"] == 20_000


async def test_the_book_follows_the_ledger_again_after_a_lost_connection(services: Services) -> None:
    await services.pool.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await services.pool.execute("INSERT INTO shop VALUES ('7', 'Lan', 'CNY', 1)")
    await services.pool.execute("UPDATE snapshot_version SET version = 1 WHERE name = 'catalog'")
    await until(lambda: "7" in services.prices.book.shops)


async def test_the_book_follows_the_ledger_again_after_a_document_that_nobody_can_read(
    services: Services,
) -> None:
    """As after a newer version, which knows more kinds of promotions than this one."""
    failures = metrics.REFRESH_FAILURES.labels("price-snapshots")
    before = failures._value.get()
    document = {"effect": {"kind": "of_tomorrow"}}
    await services.pool.execute("INSERT INTO promotion VALUES ('p', NULL, $1, 1)", document)
    await services.pool.execute("UPDATE snapshot_version SET version = 1 WHERE name = 'promotions'")
    await until(lambda: failures._value.get() >= before + 2)
    await services.pool.execute("DELETE FROM promotion")
    await services.pool.execute("INSERT INTO shop VALUES ('7', 'Lan', 'CNY', 1)")
    await services.pool.execute("UPDATE snapshot_version SET version = 1 WHERE name = 'catalog'")
    await until(lambda: "7" in services.prices.book.shops)
