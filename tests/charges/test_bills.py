"""Pay the bill: an amount from the counter, a part of it without discounts, no stock, no address."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.charges.conftest import Buyer, Put

BILL = {"sku_id": "bill", "quantity": 1, "amount_minor": 10_000, "undiscounted_minor": 4_000}
TEN_PERCENT = {"name": "10 %", "lane": "shop", "effect": {"kind": "percent_off", "percent_bp": 1000}}
MINIMUM = {**TEN_PERCENT, "lane": "platform", "condition": {"min_amount_minor": 6_001, "base": "list"}}


@pytest.fixture(autouse=True)
async def counter(shop: None, put: Put) -> None:
    skus = [{"sku_id": "bill", "prices": {"CNY": {"price_minor": 0}}}]
    await put("items/counter", {"shop_id": "7", "title": "Bill", "item_type": "bill", "skus": skus})
    await put("promotions/p", TEN_PERCENT)
    await put("promotions/minimum", MINIMUM)


async def placed(buyer: Buyer, payable_minor: int, *lines: dict[str, Any], **more: Any) -> httpx.Response:
    return await buyer.place({}, payable_minor, lines=list(lines), **more)


async def test_the_undiscounted_part_is_paid_but_counts_for_no_rule(buyer: Buyer) -> None:
    summary = await buyer.price({}, lines=[BILL])
    assert [each["rule_id"] for each in summary["applied"]] == ["p"]  # 60.00 miss the minimum of 60.01
    assert [summary[f"{part}_minor"] for part in ("goods", "promotion_discount", "freight", "payable")] == [
        10_000,
        600,
        0,
        9_400,
    ]
    line = summary["shops"][0]["lines"][0]
    assert (line["unit_price_minor"], line["undiscounted_minor"]) == (10_000, 4_000)
    assert line["payable_minor"] == 9_400
    assert (line["available"], line["max_quantity"], summary["warnings"]) == (True, 1, [])


async def test_a_bill_is_placed_without_stock_or_address(buyer: Buyer, services: Services) -> None:
    answer = await placed(buyer, 9_400, BILL)
    assert answer.status_code == 201, answer.text
    line = await services.pool.fetchrow("SELECT * FROM order_line")
    assert (line["goods_minor"], line["undiscounted_minor"], line["payable_minor"]) == (10_000, 4_000, 9_400)
    assert await services.pool.fetchval("SELECT count(*) FROM stock_movement WHERE order_id IS NOT NULL") == 0
    await assert_audit_clean(services, except_for={"waiting_outbox"})
    detail = await buyer.client.get(f"/shopping/orders/{answer.json()['order_id']}", headers=buyer.headers)
    assert detail.json()["shops"][0]["lines"][0]["undiscounted_minor"] == 4_000


async def test_a_bill_beside_goods_leaves_their_stock_alone(buyer: Buyer, services: Services) -> None:
    address_id = await buyer.address()
    lines = [BILL, {"sku_id": "1001", "quantity": 1}]
    summary = await buyer.price({}, lines=lines, address_id=address_id)
    answer = await placed(buyer, summary["payable_minor"], *lines, address_id=address_id)
    assert answer.status_code == 201, answer.text
    reserved = await services.pool.fetch("SELECT sku_id, reserved FROM stock_pool WHERE reserved > 0")
    assert [tuple(row) for row in reserved] == [("1001", 1)]
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_a_bill_that_comes_to_nothing_is_paid_as_it_is_placed_and_takes_no_stock(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("promotions/p", TEN_PERCENT | {"effect": {"kind": "percent_off", "percent_bp": 10_000}})
    answer = await placed(buyer, 0, BILL | {"undiscounted_minor": 0})
    assert (answer.status_code, answer.json()["status"]) == (201, "PENDING_SHIPMENT")
    assert await services.pool.fetchval("SELECT count(*) FROM stock_movement WHERE order_id IS NOT NULL") == 0
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_canceling_an_unpaid_bill_releases_nothing(buyer: Buyer, services: Services) -> None:
    order_id = (await placed(buyer, 9_400, BILL)).json()["order_id"]
    canceled = await buyer.client.post(f"/shopping/orders/{order_id}/cancel", headers=buyer.headers)
    assert canceled.status_code == 200, canceled.text
    await assert_audit_clean(services, except_for={"waiting_outbox"})


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        ({"sku_id": "bill", "quantity": 1}, 422, "bill_amount_invalid"),
        (BILL | {"quantity": 2}, 422, "bill_amount_invalid"),
        (BILL | {"undiscounted_minor": 10_001}, 422, "bill_amount_invalid"),
        (BILL | {"sku_id": "1001"}, 422, "bill_amount_invalid"),
        ({"sku_id": "1001", "quantity": 1, "undiscounted_minor": 1}, 422, "bill_amount_invalid"),
        (BILL | {"amount_minor": 0}, 400, "invalid_request"),
        (BILL | {"amount_minor": 10**12 + 1}, 400, "invalid_request"),
        (BILL | {"undiscounted_minor": -1}, 400, "invalid_request"),
    ],
)
async def test_an_amount_belongs_to_one_bill_and_is_bounded(
    buyer: Buyer, line: dict[str, Any], status: int, code: str
) -> None:
    refused = await placed(buyer, 9_400, line)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert await buyer.orders() == 0


async def test_a_bill_is_sold_in_the_currencies_of_its_sku_and_never_converted(
    put: Put, buyer: Buyer, client: httpx.AsyncClient
) -> None:
    rate = {"currency": "USD", "rate": "0.14", "valid_from": "2020-01-01T00:00:00Z"}
    await put("fx_rates", {"base": "CNY", "rates": [rate]})
    cart = {"currency": "USD", "lines": [BILL]}
    refused = await client.post("/shopping/cal_price/v4_4", json=cart, headers=buyer.headers)
    assert (refused.status_code, refused.json()["code"]) == (422, "currency_not_sold")
    assert refused.json()["sku_ids"] == ["bill"]
    assert (await placed(buyer, 9_400, BILL, currency="USD")).json()["code"] == "currency_not_sold"
    assert await buyer.orders() == 0
    skus = [{"sku_id": "bill", "prices": {"CNY": {"price_minor": 0}, "USD": {"price_minor": 0}}}]
    await put("items/counter", {"shop_id": "7", "title": "Bill", "item_type": "bill", "skus": skus})
    assert (await placed(buyer, 9_400, BILL, currency="USD")).status_code == 201
