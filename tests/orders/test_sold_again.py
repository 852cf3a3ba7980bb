"""What a canceled or closed order gives back can be bought at once, by way of the gate and the ledger."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from app.sweeps import SWEEPS, sweep_once
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.rows import put_flash_sale, put_sku
from tests.waiting import wait_until


@pytest.fixture
def buy(client: httpx.AsyncClient, login: Login) -> Any:
    async def call(buyer_id: str, key: str, *, payable_minor: int, **more: Any) -> httpx.Response:
        body = {
            "currency": "CNY",
            "lines": [{"sku_id": "1001", "quantity": 2}],
            "payable_minor": payable_minor,
            **more,
        }
        headers = {**login(buyer_id), "idempotency-key": key}
        return await client.post("/shopping/cart/checkout/entries", json=body, headers=headers)

    return call


async def sold(call: Awaitable[httpx.Response]) -> bool:
    """A process remembers for a tenth of a second that something was sold out."""
    return (await call).status_code == 201


async def test_canceled_goods_are_sold_to_the_next_buyer(
    client: httpx.AsyncClient, services: Services, login: Login, buy: Any
) -> None:
    await put_sku(services.pool, "1001", on_hand=2, price_minor=1_000)
    await services.prices.refresh()
    first = await buy("42", "a", payable_minor=2_000)
    assert (await buy("43", "b", payable_minor=2_000)).json()["code"] == "out_of_stock"
    order_id = first.json()["order_id"]
    assert (await client.post(f"/shopping/orders/{order_id}/cancel", headers=login("42"))).status_code == 200
    await wait_until(lambda: sold(buy("43", "c", payable_minor=2_000)), limit_s=1.0)
    await assert_audit_clean(services)


async def test_a_closed_orders_goods_and_its_buyers_limit_are_free_again(
    services: Services, clock: OffsetClock, buy: Any
) -> None:
    await put_sku(services.pool, "1001", on_hand=0, price_minor=1_000)
    await put_flash_sale(services.pool, "noon", "1001", price_minor=500, quantity=2, per_buyer_max=2)
    await services.prices.refresh()
    sale = {"mode": "flash", "activity_id": "noon", "payable_minor": 1_000}
    assert (await buy("42", "a", **sale)).status_code == 201
    assert (await buy("42", "b", **sale)).status_code == 409
    clock.advance(timedelta(seconds=services.settings.pay_timeout_s + 1))
    (close,) = [sweep for sweep in SWEEPS if sweep.name == "close_due_orders"]
    assert await sweep_once(services, close) == 1
    await wait_until(lambda: sold(buy("42", "c", **sale)), limit_s=1.0)
    await assert_audit_clean(services)


async def test_goods_that_are_reserved_when_paid_are_not_given_back(
    client: httpx.AsyncClient, services: Services, login: Login, buy: Any
) -> None:
    pool_id = await put_sku(services.pool, "1001", on_hand=2, price_minor=1_000, reserve_on="pay")
    await services.prices.refresh()
    first = await buy("42", "a", payable_minor=2_000)
    await client.post(f"/shopping/orders/{first.json()['order_id']}/cancel", headers=login("42"))
    row = await services.pool.fetchrow("SELECT on_hand, reserved FROM stock_pool WHERE pool_id = $1", pool_id)
    assert tuple(row) == (2, 0)
    await assert_audit_clean(services)
