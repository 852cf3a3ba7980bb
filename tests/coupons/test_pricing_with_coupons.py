"""Carts priced with coupons over HTTP, and the coupons' way through the cache."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.coupons.keys import buyer_coupons_key
from tests.conftest import Login
from tests.coupons.calls import CART, cal_price, granted, put_shop, put_template


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await put_shop(client, op)


async def test_the_summary_has_the_fields_of_the_contract_in_their_order(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    summary = await cal_price(client, login(), coupon_ids=[await granted(client, op, "t")])
    assert list(summary) == [
        "quote_id",
        "expires_at",
        "currency",
        "goods_minor",
        "promotion_discount_minor",
        "coupon_discount_minor",
        "points_discount_minor",
        "gift_card_minor",
        "red_packet_minor",
        "freight_minor",
        "tax_minor",
        "payable_minor",
        "points_used",
        "points_earned",
        "shops",
        "applied",
        "rejected",
        "warnings",
    ]
    assert list(summary["shops"][0]) == [
        "shop_id",
        "goods_minor",
        "discount_minor",
        "freight_minor",
        "tax_minor",
        "payable_minor",
        "lines",
    ]
    assert list(summary["shops"][0]["lines"][0]) == [
        "sku_id",
        "quantity",
        "unit_price_minor",
        "list_price_minor",
        "goods_minor",
        "discount_minor",
        "freight_minor",
        "tax_minor",
        "payable_minor",
        "available",
        "max_quantity",
        "discounts",
    ]
    assert summary["expires_at"].endswith("Z")
    assert 1 <= len(summary["quote_id"]) <= 64


async def test_a_granted_coupon_lowers_the_price_of_its_buyer_only(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    coupon_id = await granted(client, op, "t")
    summary = await cal_price(client, login(), coupon_ids=[coupon_id])
    assert (summary["coupon_discount_minor"], summary["payable_minor"]) == (1000, 19_000)
    assert summary["applied"] == [
        {"kind": "coupon", "rule_id": coupon_id, "name": "10 off", "amount_minor": 1000}
    ]
    missing = [{"kind": "coupon", "rule_id": coupon_id, "name": "", "code": "coupon_not_found"}]
    for other in (login("43"), {}):
        summary = await cal_price(client, other, coupon_ids=[coupon_id])
        assert (summary["payable_minor"], summary["rejected"]) == (20_000, missing)


async def test_a_coupon_below_its_minimum_says_what_is_missing(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    coupon_id = await granted(client, op, "t")
    lines = [{"sku_id": "1001", "quantity": 1}]
    summary = await cal_price(client, login(), lines=lines, coupon_ids=[coupon_id])
    rejected = {"kind": "coupon", "rule_id": coupon_id, "name": "10 off", "code": "minimum_not_met"}
    assert summary["rejected"] == [rejected | {"missing_minor": 5000}]


async def test_auto_coupons_and_the_coupons_for_an_order_agree_on_the_best(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "small", stack_category="x")
    percent = {"kind": "percent_off", "percent_bp": 1000}
    await put_template(client, op, "big", stack_category="x", effect=percent)
    await put_template(client, op, "far", condition={"min_amount_minor": 90_000})
    small, big, far = [await granted(client, op, each) for each in ("small", "big", "far")]
    summary = await cal_price(client, login(), auto_coupons=True)
    assert [each["rule_id"] for each in summary["applied"]] == [big]
    answer = await client.post("/shopping/user_coupons_for_order", json=CART, headers=login())
    assert answer.status_code == 200
    choice = answer.json()
    assert choice["usable"] == [
        {"coupon_id": small, "name": "10 off", "saves_minor": 1000, "best": False},
        {"coupon_id": big, "name": "10 off", "saves_minor": 2000, "best": True},
    ]
    assert choice["unusable"] == [
        {
            "coupon_id": far,
            "name": "10 off",
            "code": "minimum_not_met",
            "missing_minor": 70_000,
            "gains_minor": 1000,
        }
    ]
    assert (choice["currency"], choice["best_saves_minor"]) == ("CNY", 2000)


async def test_coupons_for_an_order_need_a_buyer(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    assert (await client.post("/shopping/user_coupons_for_order", json=CART)).status_code == 401
    assert (await client.post("/shopping/user_coupons_for_order", json=CART, headers=op)).status_code == 403


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"lines": []}, 400, "invalid_request"),
        ({"lines": [{"sku_id": "1001", "quantity": 0}]}, 400, "invalid_request"),
        ({"lines": [{"sku_id": "1001", "quantity": 10_000}]}, 400, "invalid_request"),
        ({"lines": [{"sku_id": "1001", "quantity": 1.5}]}, 400, "invalid_request"),
        ({"lines": [{"sku_id": "1001", "quantity": 1}] * 101}, 400, "invalid_request"),
        ({"lines": [{"sku_id": "x" * 65, "quantity": 1}]}, 400, "invalid_request"),
        ({"lines": [{"sku_id": "1001\u0000", "quantity": 1}]}, 400, "invalid_request"),
        ({"coupon_ids": ["1"] * 21}, 400, "invalid_request"),
        ({"points": -1}, 400, "invalid_request"),
        ({"unknown": 1}, 400, "invalid_request"),
        ({"mode": "flash"}, 400, "invalid_request"),
        ({"activity_id": "noon"}, 400, "invalid_request"),
        ({"currency": "cny"}, 400, "invalid_request"),
        ({"currency": "USD"}, 422, "currency_not_sold"),
        ({"lines": [{"sku_id": "x", "quantity": 1}]}, 404, "sku_not_found"),
        ({"mode": "flash", "activity_id": "noon"}, 409, "activity_not_open"),
    ],
)
async def test_a_cart_that_cannot_be_priced_is_refused(
    client: httpx.AsyncClient, change: dict[str, Any], status: int, code: str
) -> None:
    refused = await client.post("/shopping/cal_price/v4_4", json=CART | change)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert refused.headers["content-type"] == "application/problem+json"


async def test_the_cache_follows_every_change_and_an_empty_one_is_filled_from_the_ledger(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    coupon_id = await granted(client, op, "t")
    await services.redis.flushall()
    assert (await cal_price(client, login(), coupon_ids=[coupon_id]))["payable_minor"] == 19_000
    assert await services.redis.get(buyer_coupons_key("42"))
    # The ledger changes and nobody tells the cache: so this read shows where it came from.
    await services.pool.execute("UPDATE coupon SET status = 'used', order_id = 1")
    assert (await cal_price(client, login(), coupon_ids=[coupon_id]))["payable_minor"] == 19_000
    await services.coupons.forget(["42"])
    summary = await cal_price(client, login(), coupon_ids=[coupon_id])
    assert [each["code"] for each in summary["rejected"]] == ["already_used"]


async def test_nothing_is_cached_for_a_while_after_a_change(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    coupon_id = await granted(client, op, "t")  # leaves the mark of a change
    assert (await cal_price(client, login(), coupon_ids=[coupon_id]))["payable_minor"] == 19_000
    assert await services.redis.get(buyer_coupons_key("42")) == b""
    assert 0 < await services.redis.ttl(buyer_coupons_key("42")) <= 15


async def test_a_reader_who_began_before_a_change_does_not_cache_what_it_read(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    async with services.pool.acquire() as connection, connection.transaction():
        await connection.execute("LOCK TABLE coupon IN ACCESS EXCLUSIVE MODE")
        reading = asyncio.create_task(cal_price(client, login(), auto_coupons=True))
        waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'coupon'::regclass)"
        async with asyncio.timeout(5):
            while not await services.pool.fetchval(waits):
                pass
        await services.coupons.forget(["42"])
    await reading
    assert await services.redis.get(buyer_coupons_key("42")) == b""


async def test_coupons_count_while_redis_is_left_alone(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    coupon_id = await granted(client, op, "t")
    services.valkey.breaker.failed()
    assert (await cal_price(client, login(), coupon_ids=[coupon_id]))["payable_minor"] == 19_000
