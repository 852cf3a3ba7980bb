"""Coupons whose time is over: expired by the sweep, and when an order gives one back too late."""

from __future__ import annotations

from datetime import timedelta

import httpx

from app.bootstrap import Services
from app.coupons.expire import expire_coupons
from app.lib.clock import OffsetClock
from app.orders.cancel import cancel
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.coupons.calls import cal_price, granted, put_shop, put_template
from tests.placed import give_coupon, place, stock_sku


async def statuses(services: Services) -> list[str]:
    rows = await services.pool.fetch("SELECT status FROM coupon ORDER BY coupon_id")
    return [row["status"] for row in rows]


async def test_the_sweep_expires_what_is_over_past_locked_rows_and_nothing_else(
    services: Services, clock: OffsetClock
) -> None:
    held = await give_coupon(services)
    await stock_sku(services.pool, "1001")
    await place(services, ("1001", 1), coupon_id=held)
    others = [await give_coupon(services) for _ in range(3)]
    assert await expire_coupons(services, clock.now(), 10) == 0
    clock.advance(timedelta(days=31))
    late = await give_coupon(services)
    await services.pool.execute(
        "UPDATE coupon SET valid_to = now() + interval '60 days' WHERE coupon_id = $1", late
    )
    async with services.pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM coupon WHERE coupon_id = $1 FOR UPDATE", others[0])
        assert await expire_coupons(services, clock.now(), 10) == 2
    assert await statuses(services) == ["locked", "available", "expired", "expired", "available"]
    assert await expire_coupons(services, clock.now(), 10) == 1
    assert await expire_coupons(services, clock.now(), 10) == 0


async def test_an_expired_coupon_still_says_why_it_does_not_count(
    client: httpx.AsyncClient, services: Services, login: Login, clock: OffsetClock
) -> None:
    op = login("ann", "op")
    await put_shop(client, op)
    await put_template(client, op, "t")
    coupon_id = await granted(client, op, "t")
    clock.advance(timedelta(days=7, seconds=1))
    assert await expire_coupons(services, clock.now(), 10) == 1
    summary = await cal_price(client, login(), coupon_ids=[coupon_id])
    assert [(each["rule_id"], each["code"]) for each in summary["rejected"]] == [(coupon_id, "expired")]
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_a_canceled_order_gives_back_what_is_over_as_expired(
    services: Services, clock: OffsetClock
) -> None:
    coupon_id = await give_coupon(services)
    await stock_sku(services.pool, "1001")
    order_id = await place(services, ("1001", 1), coupon_id=coupon_id)
    clock.advance(timedelta(days=31))
    await cancel(services, "42", str(order_id))
    assert await statuses(services) == ["expired"]
