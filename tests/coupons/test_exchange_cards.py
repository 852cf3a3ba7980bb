"""Exchange cards: one-time codes of a template that makes a certain item free (docs/pricing.md)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.coupons.calls import cal_price, put_template, redeem
from tests.rows import put_sku

# One tin of 1001, whatever else is in the cart.
CARD: dict[str, Any] = {
    "name": "A tin of tea",
    "scope": {"sku_ids": ["1001"]},
    "condition": {},
    "effect": {"kind": "percent_off", "percent_bp": 10_000},
    "limits": {"max_quantity": 1},
    "codes_count": 2,
}


@pytest.fixture
async def card(client: httpx.AsyncClient, services: Services, login: Login) -> str:
    """The buyer's coupon from the first card."""
    op = login("ann", "op")
    await put_sku(services.pool, "1001", price_minor=10_000)
    await put_sku(services.pool, "1002", price_minor=300)
    await services.prices.refresh()
    await put_template(client, op, "card", **CARD)
    codes = (await client.get("/admin/coupon_templates/card/codes", headers=op)).json()["items"]
    coupon = await redeem(client, login(), codes[0]["code"])
    assert coupon.status_code == 200
    coupon_id: str = coupon.json()["coupon_id"]
    return coupon_id


def cart(*lines: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"sku_id": sku_id, "quantity": quantity} for sku_id, quantity in lines]


@pytest.mark.parametrize(
    ("lines", "off_minor", "payable_minor"),
    [
        ([("1001", 1)], 10_000, 0),
        ([("1001", 3)], 10_000, 20_000),
        ([("1001", 1), ("1002", 2)], 10_000, 600),
        ([("1002", 1)], 0, 300),
    ],
)
async def test_a_card_takes_its_item_off_and_nothing_else(
    client: httpx.AsyncClient,
    login: Login,
    card: str,
    lines: list[tuple[str, int]],
    off_minor: int,
    payable_minor: int,
) -> None:
    summary = await cal_price(client, login(), lines=cart(*lines), coupon_ids=[card])
    assert (summary["coupon_discount_minor"], summary["payable_minor"]) == (off_minor, payable_minor)


async def test_an_item_is_ordered_with_its_card_alone(
    client: httpx.AsyncClient, services: Services, login: Login, card: str
) -> None:
    body = {"currency": "CNY", "lines": cart(("1001", 1)), "coupon_ids": [card], "payable_minor": 0}
    headers = login() | {"idempotency-key": "k"}
    placed = await client.post("/shopping/cart/checkout/entries", json=body, headers=headers)
    assert (placed.status_code, placed.json()["payable_minor"]) == (201, 0)
    status, order_id = await services.pool.fetchrow("SELECT status, order_id FROM coupon")
    assert (status, str(order_id)) == ("used", placed.json()["order_id"])
    assert await services.pool.fetchval("SELECT status FROM orders") == "PENDING_SHIPMENT"
    again = await client.post(
        "/shopping/cart/checkout/entries", json=body, headers=login() | {"idempotency-key": "other"}
    )
    assert (again.status_code, again.json()["code"]) == (409, "price_changed")
    await assert_audit_clean(services, except_for={"waiting_outbox"})
