"""The demo shop: worth looking at, loaded once, and its flash sale is always open after a start."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.demo.catalog import demo_records
from app.demo.offers import FLASH_SALE_LASTS
from app.flash_sales.end import end_due_flash_sales
from app.lib.clock import OffsetClock
from app.seed import seed
from tests.conftest import Login

TABLES = (
    *("shop", "item", "sku", "stock_pool", "stock_movement", "snapshot_version", "address"),
    *("promotion", "coupon_template", "coupon_code", "coupon", "flash_sale", "flash_sale_item"),
    *("balance", "ledger_entry", "points_rules", "points_lot", "gift_card", "red_packet_pool", "red_packet"),
)


@pytest.fixture
async def seeded(services: Services) -> Services:
    await seed(services)
    await services.prices.refresh()
    return services


async def everything(services: Services) -> dict[str, list[Any]]:
    return {
        table: await services.pool.fetchval(f"SELECT jsonb_agg(t ORDER BY t::text) FROM {table} AS t")
        for table in TABLES
    }


async def test_there_is_a_shop_worth_looking_at(
    seeded: Services, client: httpx.AsyncClient, login: Login
) -> None:
    pool = seeded.pool
    assert await pool.fetchval("SELECT count(*) FROM shop") == 5
    assert await pool.fetchval("SELECT count(*) FROM sku") == 317
    assert await pool.fetchval("SELECT count(*) FROM sku WHERE prices ?& ARRAY['CNY', 'USD']") == 317
    assert await pool.fetchval("SELECT min(on_hand) FROM stock_pool WHERE activity_id = '0'") >= 40
    sold = await client.get("/admin/flash_sales", headers=login("ann", "op"))
    assert [(sale["activity_id"], sale["status"]) for sale in sold.json()["items"]] == [("flash-1", "open")]
    addresses = await client.get("/address-api/addresses/list", headers=login("42"))
    assert [each["region"] for each in addresses.json()["items"]] == ["CN-SH"]


async def test_the_contracts_example_is_priced_as_the_contract_says(
    seeded: Services, client: httpx.AsyncClient, login: Login
) -> None:
    """api.md: two of 1001 in CNY, 30 off by promotion, 10 off by coupon."""
    buyer = login("42")
    cart = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 2}], "auto_coupons": True}
    summary = (await client.post("/shopping/cal_price/v4_4", json=cart, headers=buyer)).json()
    assert [summary[key] for key in ("goods_minor", "promotion_discount_minor", "coupon_discount_minor")] == [
        *(20000, 3000, 1000),
    ]
    assert summary["payable_minor"] == 16000
    flash = {
        "currency": "CNY",
        "lines": [{"sku_id": "1001", "quantity": 1}],
        "mode": "flash",
        "activity_id": "flash-1",
    }
    summary = (await client.post("/shopping/cal_price/v4_4", json=flash, headers=buyer)).json()
    assert summary["goods_minor"] == 5000


async def test_loading_it_again_changes_nothing_also_what_was_changed_since(
    seeded: Services, client: httpx.AsyncClient, login: Login
) -> None:
    await client.put("/admin/shops/7", json={"name": "Mine", "currency": "CNY"}, headers=login("ann", "op"))
    before = await everything(seeded)
    await seed(seeded)
    assert await everything(seeded) == before


async def test_a_new_flash_sale_follows_one_that_has_ended(seeded: Services, clock: OffsetClock) -> None:
    clock.advance(FLASH_SALE_LASTS + timedelta(seconds=1))
    await end_due_flash_sales(seeded.pool, seeded.gate, clock.now(), 10)
    for _ in range(2):
        await seed(seeded)
    rows = await seeded.pool.fetch("SELECT activity_id, ended_at IS NULL FROM flash_sale ORDER BY starts_at")
    assert [tuple(row) for row in rows] == [("flash-1", False), ("flash-2", True)]


def test_the_demo_is_the_same_on_every_machine() -> None:
    assert list(demo_records()) == list(demo_records())


async def test_the_tours_buyer_can_pay_with_points_a_red_packet_and_a_gift_card(
    seeded: Services, client: httpx.AsyncClient, login: Login
) -> None:
    buyer = login("42")
    (packet,) = (await client.get("/red_packets", headers=buyer)).json()["items"]
    cart = {
        "currency": "CNY",
        "lines": [{"sku_id": "1001", "quantity": 2}],
        "points": 2_000,
        "red_packet_id": packet["packet_id"],
        "gift_card_codes": [await seeded.pool.fetchval("SELECT code FROM gift_card")],
    }
    summary = (await client.post("/shopping/cal_price/v4_4", json=cart, headers=buyer)).json()
    paid = [summary[each] for each in ("points_discount_minor", "red_packet_minor", "gift_card_minor")]
    assert (paid, summary["payable_minor"]) == ([2_000, 500, 5_000], 9_500)
