"""A SKU's stock set and adjusted over HTTP; the gate learns it, and refusals change nothing."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from app.bootstrap import Services, open_services
from app.lib.auth import Caller
from app.settings import Settings
from app.stock.administer import set_stock
from app.stock.keys import pool_key
from app.stock.schemas import SetStock, StockLevel
from tests.conftest import Login

STOCK = "/admin/skus/1001/stock"


@pytest.fixture
async def op(client: httpx.AsyncClient, login: Login) -> dict[str, str]:
    """An operator's headers; the shop 7 sells the SKU 1001."""
    headers = login("ann", "op")
    await client.put("/admin/shops/7", json={"name": "Tea", "currency": "CNY"}, headers=headers)
    item = {
        "shop_id": "7",
        "title": "Tea",
        "skus": [{"sku_id": "1001", "prices": {"CNY": {"price_minor": 1}}}],
    }
    assert (await client.put("/admin/items/tea", json=item, headers=headers)).status_code == 200
    return headers


async def pool_row(services: Services) -> tuple[int, int, int]:
    row = await services.pool.fetchrow("SELECT on_hand, reserved, version FROM stock_pool")
    assert row is not None
    return tuple(row)


async def movements(services: Services) -> list[tuple[Any, ...]]:
    rows = await services.pool.fetch(
        "SELECT kind, on_hand_delta, reserved_delta, reason FROM stock_movement ORDER BY movement_id"
    )
    return [tuple(row) for row in rows]


async def gate_free(services: Services) -> bytes | None:
    pool_id = await services.pool.fetchval("SELECT pool_id FROM stock_pool")
    free: bytes | None = await services.redis.hget(pool_key("7", pool_id), "free")  # type: ignore[misc]
    return free


async def test_stock_is_set_once_however_often_it_is_said_and_the_gate_learns_it(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    for _ in range(2):
        answer = await client.put(STOCK, json={"on_hand": 100, "expected_version": None}, headers=op)
        assert (answer.status_code, answer.json()) == (
            200,
            {"sku_id": "1001", "on_hand": 100, "reserved": 0, "version": 2},
        )
    assert await movements(services) == [("set", 100, 0, None)]
    assert await gate_free(services) == b"100"
    lower = await client.put(STOCK, json={"on_hand": 30, "expected_version": 2}, headers=op)
    assert lower.json() == {"sku_id": "1001", "on_hand": 30, "reserved": 0, "version": 3}
    assert await movements(services) == [("set", 100, 0, None), ("set", -70, 0, None)]
    assert await gate_free(services) == b"30"
    assert (await client.get(STOCK, headers=op)).json() == lower.json()


async def test_stock_is_not_set_below_what_is_reserved_nor_over_a_version_that_has_passed(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await client.put(STOCK, json={"on_hand": 10}, headers=op)
    await services.pool.execute("UPDATE stock_pool SET reserved = 4, version = version + 1")
    before = await pool_row(services), await movements(services)
    below = await client.put(STOCK, json={"on_hand": 3}, headers=op)
    assert (below.status_code, below.json()["code"], below.json()["reserved"]) == (409, "below_reserved", 4)
    passed = await client.put(STOCK, json={"on_hand": 50, "expected_version": 2}, headers=op)
    assert (passed.status_code, passed.json()["code"], passed.json()["version"]) == (409, "version_passed", 3)
    adjusted = await client.post(f"{STOCK}/adjust", json={"delta": -7}, headers=op | {"idempotency-key": "k"})
    assert (adjusted.status_code, adjusted.json()["code"]) == (409, "below_reserved")
    assert (await pool_row(services), await movements(services)) == before
    exact = await client.put(STOCK, json={"on_hand": 4, "expected_version": 3}, headers=op)
    assert exact.json() == {"sku_id": "1001", "on_hand": 4, "reserved": 4, "version": 4}
    assert await gate_free(services) == b"0"


async def test_an_adjustment_counts_once_per_key_also_when_both_arrive_together(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    headers = op | {"idempotency-key": "delivery-1"}
    body = {"delta": 20, "reason": "delivery"}
    answers = await asyncio.gather(
        *(client.post(f"{STOCK}/adjust", json=body, headers=headers) for _ in range(4))
    )
    assert [answer.json() for answer in answers] == [
        {"sku_id": "1001", "on_hand": 20, "reserved": 0, "version": 2}
    ] * 4
    assert sorted(answer.headers.get("idempotent-replayed", "") for answer in answers) == ["", *["true"] * 3]
    assert await movements(services) == [("adjust", 20, 0, "delivery")]
    assert await gate_free(services) == b"20"
    other = await client.post(f"{STOCK}/adjust", json={"delta": 21}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    keyless = await client.post(f"{STOCK}/adjust", json=body, headers=op)
    assert keyless.status_code == 400
    assert await movements(services) == [("adjust", 20, 0, "delivery")]


async def test_stock_belongs_to_the_shop_and_to_a_known_sku(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    other = await client.put(STOCK, json={"on_hand": 1}, headers=login("n", "merchant", "8"))
    assert (other.status_code, other.json()["code"]) == (403, "forbidden")
    unknown = await client.put("/admin/skus/nope/stock", json={"on_hand": 1}, headers=op)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "sku_not_found")
    assert (await client.get(STOCK, headers=login("n", "merchant", "8"))).status_code == 403
    assert (await client.get("/admin/skus/nope/stock", headers=op)).json()["code"] == "sku_not_found"
    assert await pool_row(services) == (0, 0, 1)
    own = await client.put(STOCK, json={"on_hand": 1}, headers=login("m", "merchant", "7"))
    assert own.status_code == 200


async def test_what_is_out_of_bounds_is_refused(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    keyed = op | {"idempotency-key": "k"}
    for body in ({"on_hand": -1}, {"on_hand": 10**9 + 1}, {"on_hand": 1.5}, {}, {"on_hand": 1, "sku": "x"}):
        assert (await client.put(STOCK, json=body, headers=op)).status_code == 400
    for body in ({"delta": 10**30}, {"delta": "1"}, {}, {"delta": 1, "reason": "x" * 256}):
        assert (await client.post(f"{STOCK}/adjust", json=body, headers=keyed)).status_code == 400
    assert await pool_row(services) == (0, 0, 1)


async def test_a_gate_that_is_down_does_not_fail_the_call(
    services: Services, settings: Settings, op: dict[str, str]
) -> None:
    gateless = msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1")
    async with open_services(gateless, name="test") as alone:
        level = await set_stock(alone.pool, alone.gate, Caller("ann", "op"), "1001", SetStock(5))
    assert level == StockLevel("1001", on_hand=5, reserved=0, version=2)
    assert await pool_row(services) == (5, 0, 2)
