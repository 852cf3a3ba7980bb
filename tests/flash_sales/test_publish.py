"""Flash sales over HTTP: published, repeated, changed, refused, ended; no unit is lost on the way."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.flash_sales.end import end_due_flash_sales
from app.lib.clock import OffsetClock
from app.stock.keys import pool_key
from tests.conftest import Login

SALE = "/admin/flash_sales/noon"
SKUS = {"1001": 100, "1002": 5}


@pytest.fixture
async def op(client: httpx.AsyncClient, login: Login) -> dict[str, str]:
    """An operator's headers; the shop 7 has 100 of the SKU 1001 and 5 of 1002."""
    headers = login("ann", "op")
    await client.put("/admin/shops/7", json={"name": "Tea", "currency": "CNY"}, headers=headers)
    skus = [{"sku_id": sku_id, "prices": {"CNY": {"price_minor": 10000}}} for sku_id in SKUS]
    tea = {"shop_id": "7", "title": "Tea", "skus": skus}
    assert (await client.put("/admin/items/tea", json=tea, headers=headers)).status_code == 200
    for sku_id, on_hand in SKUS.items():
        await client.put(f"/admin/skus/{sku_id}/stock", json={"on_hand": on_hand}, headers=headers)
    return headers


def sale(clock: OffsetClock, *items: dict[str, Any], starts_h: int = -1, ends_h: int = 1) -> dict[str, Any]:
    now = clock.now()
    return {
        "name": "Noon sale",
        "starts_at": (now + timedelta(hours=starts_h)).isoformat(),
        "ends_at": (now + timedelta(hours=ends_h)).isoformat(),
        "items": list(items) or [item()],
    }


def item(sku_id: str = "1001", quantity: int = 60, **fields: Any) -> dict[str, Any]:
    rest = {"currency": "CNY", "price_minor": 5000, "per_buyer_max": 1} | fields
    return {"sku_id": sku_id, "quantity": quantity, **rest}


async def pools(services: Services) -> dict[tuple[str, str], tuple[int, int]]:
    """(SKU, activity) -> (on hand, reserved)."""
    rows = await services.pool.fetch("SELECT * FROM stock_pool")
    return {(row["sku_id"], row["activity_id"]): (row["on_hand"], row["reserved"]) for row in rows}


async def everything(services: Services) -> Any:
    """All that publishing may change."""
    return await services.pool.fetchval(
        """SELECT jsonb_build_array(
            (SELECT jsonb_agg(to_jsonb(p) ORDER BY pool_id) FROM stock_pool p),
            (SELECT jsonb_agg(to_jsonb(m) ORDER BY movement_id) FROM stock_movement m),
            (SELECT jsonb_agg(to_jsonb(f)) FROM flash_sale f),
            (SELECT jsonb_agg(to_jsonb(i) ORDER BY sku_id) FROM flash_sale_item i),
            (SELECT jsonb_agg(to_jsonb(v) ORDER BY name) FROM snapshot_version v))"""
    )


async def assert_every_pool_is_the_sum_of_its_movements(services: Services) -> None:
    off = await services.pool.fetch(
        """SELECT sku_id, activity_id, on_hand, coalesce(sum(on_hand_delta), 0) AS moved
           FROM stock_pool LEFT JOIN stock_movement USING (pool_id)
           GROUP BY pool_id HAVING on_hand <> coalesce(sum(on_hand_delta), 0)"""
    )
    assert off == []


async def reserve(services: Services, activity_id: str, quantity: int) -> None:
    """What an order of SKU 1001 does: units reserved, with the movement."""
    pool_id = await services.pool.fetchval(
        """UPDATE stock_pool SET reserved = reserved + $2, version = version + 1
           WHERE sku_id = '1001' AND activity_id = $1 RETURNING pool_id""",
        activity_id,
        quantity,
    )
    await services.pool.execute(
        """INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta)
           VALUES ($1, 'reserve', 0, $2)""",
        pool_id,
        quantity,
    )


async def test_publishing_sets_the_quantity_aside_and_repeating_it_changes_nothing(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock
) -> None:
    wanted = sale(clock, item(), item("1002", 5, per_buyer_max=None))
    published = await client.put(SALE, json=wanted, headers=op)
    assert published.status_code == 200, published.text
    answer = published.json()
    assert (answer["activity_id"], answer["status"]) == ("noon", "open")
    assert answer["items"] == [
        item() | {"on_hand": 60, "reserved": 0},
        item("1002", 5, per_buyer_max=None) | {"on_hand": 5, "reserved": 0},
    ]
    assert await pools(services) == {
        ("1001", "0"): (40, 0),
        ("1001", "noon"): (60, 0),
        ("1002", "0"): (0, 0),
        ("1002", "noon"): (5, 0),
    }
    await assert_every_pool_is_the_sum_of_its_movements(services)
    before = await everything(services)
    again = await client.put(SALE, json=wanted | {"items": wanted["items"][::-1]}, headers=op)
    assert again.json() == answer
    assert await everything(services) == before
    assert (await client.get(SALE, headers=op)).json() == answer


async def test_the_gate_learns_what_was_set_aside(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock
) -> None:
    await client.put(SALE, json=sale(clock), headers=op)
    rows = await services.pool.fetch("SELECT pool_id, on_hand FROM stock_pool WHERE sku_id = '1001'")
    assert sorted(row["on_hand"] for row in rows) == [40, 60]
    for row in rows:
        free = await services.redis.hget(pool_key("7", row["pool_id"]), "free")  # type: ignore[misc]
        assert free == str(row["on_hand"]).encode()


async def test_a_sale_of_more_than_is_free_is_refused_whole(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock
) -> None:
    await reserve(services, "0", 50)
    before = await everything(services)
    refused = await client.put(SALE, json=sale(clock, item(quantity=51), item("1002", 6)), headers=op)
    assert (refused.status_code, refused.json()["code"]) == (409, "out_of_stock")
    assert refused.json()["sku_ids"] == ["1001", "1002"]
    assert await everything(services) == before
    assert (await client.put(SALE, json=sale(clock, item(quantity=50)), headers=op)).status_code == 200


async def test_before_it_starts_anything_may_change(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock
) -> None:
    first = sale(clock, starts_h=1, ends_h=2)
    await client.put(SALE, json=first, headers=op)
    other = sale(clock, item("1002", 3, price_minor=1), starts_h=2, ends_h=3)
    changed = await client.put(SALE, json=other, headers=op)
    assert (changed.status_code, changed.json()["status"]) == (200, "scheduled")
    assert await pools(services) == {
        ("1001", "0"): (100, 0),
        ("1001", "noon"): (0, 0),
        ("1002", "0"): (2, 0),
        ("1002", "noon"): (3, 0),
    }
    assert await services.pool.fetchval("SELECT array_agg(sku_id) FROM stock_pool WHERE closed") == ["1001"]
    back = await client.put(SALE, json=first, headers=op)
    assert [(each["sku_id"], each["on_hand"]) for each in back.json()["items"]] == [("1001", 60)]
    assert await services.pool.fetchval("SELECT array_agg(sku_id) FROM stock_pool WHERE closed") == ["1002"]
    await assert_every_pool_is_the_sum_of_its_movements(services)


async def test_while_it_is_open_quantities_move_but_prices_stay(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock
) -> None:
    wanted = sale(clock)
    await client.put(SALE, json=wanted, headers=op)
    await reserve(services, "noon", 10)
    before = await everything(services)
    for items, code in [
        ([item(price_minor=4999)], "flash_sale_open"),
        ([item(currency="USD")], "flash_sale_open"),
        ([item("1002", 1)], "flash_sale_open"),
        ([item(quantity=9)], "below_reserved"),
        ([item(quantity=101)], "out_of_stock"),
    ]:
        refused = await client.put(SALE, json=wanted | {"items": items}, headers=op)
        assert (refused.status_code, refused.json()["code"]) == (409, code)
        assert refused.json()["sku_ids"] == ["1001"]
    earlier = wanted | {"starts_at": sale(clock, starts_h=-2)["starts_at"]}
    assert (await client.put(SALE, json=earlier, headers=op)).json()["code"] == "flash_sale_open"
    assert await everything(services) == before
    less = await client.put(SALE, json=wanted | {"items": [item(quantity=10), item("1002", 1)]}, headers=op)
    assert less.status_code == 200, less.text
    assert await pools(services) == {
        ("1001", "0"): (90, 0),
        ("1001", "noon"): (10, 10),
        ("1002", "0"): (4, 0),
        ("1002", "noon"): (1, 0),
    }
    more = await client.put(SALE, json=wanted | {"items": [item(quantity=100), item("1002", 1)]}, headers=op)
    assert more.status_code == 200, more.text
    assert (await pools(services))["1001", "0"] == (0, 0)
    await assert_every_pool_is_the_sum_of_its_movements(services)


async def test_a_sale_that_the_ledger_refuses_to_end_holds_up_no_other(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock
) -> None:
    await client.put("/admin/flash_sales/wrong", json=sale(clock, item("1002", 2)), headers=op)
    await client.put(SALE, json=sale(clock), headers=op)
    await services.pool.execute(
        "ALTER TABLE flash_sale ADD CONSTRAINT refused CHECK (activity_id <> 'wrong' OR ended_at IS NULL)"
    )
    clock.advance(timedelta(hours=2))
    assert await end_due_flash_sales(services.pool, services.gate, clock.now(), 10) == 1
    ended = await services.pool.fetch("SELECT activity_id FROM flash_sale WHERE ended_at IS NOT NULL")
    assert [row["activity_id"] for row in ended] == ["noon"]
    assert (await pools(services))["1002", "wrong"] == (2, 0)


async def test_when_its_time_is_over_what_is_free_comes_back_once(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock
) -> None:
    wanted = sale(clock, item(), item("1002", 2))
    await client.put(SALE, json=wanted, headers=op)
    await reserve(services, "noon", 10)
    assert await end_due_flash_sales(services.pool, services.gate, clock.now(), 10) == 0
    clock.advance(timedelta(hours=1))
    assert (await client.get(SALE, headers=op)).json()["status"] == "ended"
    assert await end_due_flash_sales(services.pool, services.gate, clock.now(), 10) == 1
    ended = await everything(services)
    assert await end_due_flash_sales(services.pool, services.gate, clock.now(), 10) == 0
    assert await pools(services) == {
        ("1001", "0"): (90, 0),
        ("1001", "noon"): (10, 10),
        ("1002", "0"): (5, 0),
        ("1002", "noon"): (0, 0),
    }
    assert await services.pool.fetchval("SELECT bool_and(closed = (activity_id = 'noon')) FROM stock_pool")
    await assert_every_pool_is_the_sum_of_its_movements(services)
    later = wanted | {"ends_at": (clock.now() + timedelta(hours=9)).isoformat()}
    refused = await client.put(SALE, json=later, headers=op)
    assert (refused.status_code, refused.json()["code"]) == (409, "flash_sale_ended")
    assert (await client.put(SALE, json=wanted, headers=op)).status_code == 200
    assert await everything(services) == ended


async def test_a_merchant_publishes_its_own_skus_only(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock, login: Login
) -> None:
    own, other = login("m", "merchant", "7"), login("n", "merchant", "8")
    before = await everything(services)
    for headers in (other, login("42")):
        refused = await client.put(SALE, json=sale(clock), headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert await everything(services) == before
    assert (await client.put(SALE, json=sale(clock), headers=own)).status_code == 200
    listed = [(await client.get("/admin/flash_sales", headers=who)).json() for who in (own, op, other)]
    assert [[each["activity_id"] for each in page["items"]] for page in listed] == [["noon"], ["noon"], []]


async def test_what_cannot_be_is_refused(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], clock: OffsetClock
) -> None:
    before = await everything(services)
    for document, status, code in [
        (sale(clock, starts_h=2, ends_h=1), 400, "invalid_request"),
        (sale(clock, starts_h=-2, ends_h=-1), 422, "window_over"),
        (sale(clock, item(), item()), 400, "invalid_request"),
        (sale(clock, item(quantity=0)), 400, "invalid_request"),
        (sale(clock, item(price_minor=-1)), 400, "invalid_request"),
        (sale(clock, item(per_buyer_max=0)), 400, "invalid_request"),
        (sale(clock, item(currency="XYZ")), 400, "invalid_request"),
        (sale(clock) | {"starts_at": "2026-01-01T00:00:00"}, 400, "invalid_request"),
        (sale(clock) | {"items": []}, 400, "invalid_request"),
        (sale(clock, item("nope")), 404, "sku_not_found"),
    ]:
        answer = await client.put(SALE, json=document, headers=op)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    zero = await client.put("/admin/flash_sales/0", json=sale(clock), headers=op)
    assert zero.status_code == 400
    assert (await client.get(SALE, headers=op)).json()["code"] == "flash_sale_not_found"
    assert await everything(services) == before
