"""A buyer cancels an unpaid order; everything that it held comes back."""

import httpx

from app.bootstrap import Services
from tests.conftest import Login
from tests.placed import give_coupon, open_sale, pay, place, read_stock, stock_sku


async def test_canceling_gives_back_stock_coupon_and_what_was_due(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    pool_id = await stock_sku(services.pool, "1001", on_hand=10)
    coupon_id = await give_coupon(services)
    order_id = await place(services, ("1001", 3), coupon_id=coupon_id)
    assert await read_stock(services.pool, pool_id) == (10, 3)

    answer = await client.post(f"/shopping/orders/{order_id}/cancel", headers=login("42"))

    assert (answer.status_code, answer.json()["status"]) == (200, "CANCELED")
    assert answer.json()["close_reason"] == "canceled_by_buyer"
    assert await read_stock(services.pool, pool_id) == (10, 0)
    assert tuple(await services.pool.fetchrow("SELECT status, order_id FROM coupon")) == ("available", None)
    assert await services.pool.fetchval("SELECT status FROM pay_order") == "CLOSED"
    movement = await services.pool.fetchrow("SELECT * FROM stock_movement WHERE kind = 'release'")
    assert (movement["pool_id"], movement["on_hand_delta"], movement["reserved_delta"]) == (pool_id, 0, -3)
    event = await services.pool.fetchrow("SELECT * FROM outbox WHERE topic = 'order.canceled'")
    assert (event["aggregate_id"], event["aggregate_version"]) == (order_id, 2)
    assert event["payload"]["reason"] == "canceled_by_buyer"


async def test_canceling_twice_is_answered_as_once_and_gives_back_once(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    pool_id = await stock_sku(services.pool, "1001", on_hand=10)
    await place(services, ("1001", 1), buyer_id="43")
    order_id = await place(services, ("1001", 3))
    answers = [
        await client.post(f"/shopping/orders/{order_id}/cancel", headers=login("42")) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert await read_stock(services.pool, pool_id) == (10, 1)
    assert await services.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'order.canceled'") == 1


async def test_a_paid_order_is_not_canceled(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    pool_id = await stock_sku(services.pool, "1001", on_hand=10)
    order_id = await place(services, ("1001", 3))
    await pay(services, order_id)
    answer = await client.post(f"/shopping/orders/{order_id}/cancel", headers=login("42"))
    assert (answer.status_code, answer.json()["code"]) == (409, "order_not_cancelable")
    assert answer.json()["order_status"] == "PENDING_SHIPMENT"
    assert await read_stock(services.pool, pool_id) == (7, 0)
    assert await services.pool.fetchval("SELECT status FROM orders") == "PENDING_SHIPMENT"


async def test_somebody_elses_order_does_not_exist(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "1001")
    order_id = await place(services, ("1001", 3))
    answer = await client.post(f"/shopping/orders/{order_id}/cancel", headers=login("43"))
    assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
    assert await services.pool.fetchval("SELECT status FROM orders") == "NOT_PAID"


async def test_a_split_order_is_canceled_whole_under_the_parents_id(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    pools = [
        await stock_sku(services.pool, "a", shop_id="7"),
        await stock_sku(services.pool, "b", shop_id="8"),
    ]
    root_id = await place(services, ("a", 1), ("b", 2))
    child_id = await services.pool.fetchval("SELECT min(order_id) FROM orders WHERE parent_id IS NOT NULL")

    refused = await client.post(f"/shopping/orders/{child_id}/cancel", headers=login("42"))
    assert (refused.status_code, refused.json()["code"]) == (409, "part_of_parent")
    assert refused.json()["parent_id"] == str(root_id)
    assert [await read_stock(services.pool, pool_id) for pool_id in pools] == [(10, 1), (10, 2)]

    answer = await client.post(f"/shopping/orders/{root_id}/cancel", headers=login("42"))
    assert answer.status_code == 200
    assert [await read_stock(services.pool, pool_id) for pool_id in pools] == [(10, 0), (10, 0)]
    statuses = await services.pool.fetch("SELECT DISTINCT status FROM orders")
    assert [row["status"] for row in statuses] == ["CANCELED"]


async def test_a_flash_sales_purchase_limit_comes_back_too(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "1001")
    pool_id = await open_sale(services.pool, "noon", "1001", 5, buyer_max=2)
    order_id = await place(services, ("1001", 2), activity_id="noon")
    await client.post(f"/shopping/orders/{order_id}/cancel", headers=login("42"))
    assert await services.pool.fetchval("SELECT quantity FROM purchase_limit") == 0
    assert await read_stock(services.pool, pool_id) == (5, 0)


async def test_what_comes_back_after_a_sales_end_goes_to_the_normal_pool(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    normal_id = await stock_sku(services.pool, "1001", on_hand=10)
    pool_id = await open_sale(services.pool, "noon", "1001", 2)
    order_id = await place(services, ("1001", 2), activity_id="noon")
    await services.pool.execute("UPDATE stock_pool SET closed = true WHERE pool_id = $1", pool_id)

    await client.post(f"/shopping/orders/{order_id}/cancel", headers=login("42"))

    assert await read_stock(services.pool, pool_id) == (0, 0)
    assert await read_stock(services.pool, normal_id) == (12, 0)
    rows = await services.pool.fetch(
        "SELECT pool_id, kind, on_hand_delta, reserved_delta FROM stock_movement "
        "WHERE order_id = $1 AND kind <> 'reserve' ORDER BY movement_id",
        order_id,
    )
    assert [tuple(row) for row in rows] == [
        (pool_id, "release", 0, -2),
        (pool_id, "supply_out", -2, 0),
        (normal_id, "supply_in", 2, 0),
    ]
