"""A cart in another currency: priced with the rate of now, which its quote and its order keep."""

from __future__ import annotations

import httpx
import pytest

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.charges.conftest import Buyer, Put
from tests.conftest import Login

pytestmark = pytest.mark.usefixtures("shop")
RATE = {"currency": "USD", "rate": "0.1389", "valid_from": "2026-01-01T00:00:00Z"}
USED = {"base": "CNY", **RATE}


async def test_the_rate_is_kept_on_the_order_and_by_the_quote(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("fx_rates", {"base": "CNY", "rates": [RATE]})
    address_id = await buyer.address()
    quote = await buyer.price({"1001": 2}, currency="USD", address_id=address_id)
    # 2 × 4.17 and 1.39 of freight
    assert (quote["goods_minor"], quote["freight_minor"], quote["payable_minor"]) == (834, 139, 973)
    assert quote["shops"][0]["fx_rates"] == [USED]
    await put("fx_rates", {"base": "CNY", "rates": [RATE | {"rate": "0.2"}]})
    more = {"currency": "USD", "address_id": address_id}
    refused = await buyer.place({"1001": 2}, 973, **more)
    assert (refused.status_code, refused.json()["summary"]["payable_minor"]) == (409, 1_400)
    placed = await buyer.place({"1001": 2}, 973, quote_id=quote["quote_id"], **more)
    assert placed.status_code == 201, placed.text
    assert placed.json()["currency"] == "USD"
    detail = await buyer.client.get(f"/shopping/orders/{placed.json()['order_id']}", headers=buyer.headers)
    assert detail.json()["fx_rates"] == [USED]
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_each_shops_order_keeps_its_own_rate_and_the_parent_all(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("shops/8", {"name": "Kiln", "currency": "EUR"})
    skus = [{"sku_id": "2001", "prices": {"EUR": {"price_minor": 1_000}}}]
    await put("items/cup", {"shop_id": "8", "title": "Cup", "item_type": "virtual", "skus": skus})
    await put("skus/2001/stock", {"on_hand": 10})
    await put("fx_rates", {"base": "CNY", "rates": [RATE]})
    await put("fx_rates", {"base": "EUR", "rates": [RATE | {"rate": "1.08"}]})
    address_id = await buyer.address()
    placed = await buyer.place({"1001": 1, "2001": 1}, 1_636, currency="USD", address_id=address_id)
    assert placed.status_code == 201, placed.text
    rows = await services.pool.fetch("SELECT shop_id, fx_rates FROM orders")
    kept = {row["shop_id"]: [rate["base"] for rate in row["fx_rates"]] for row in rows}
    assert kept == {None: ["CNY", "EUR"], "7": ["CNY"], "8": ["EUR"]}


async def test_an_order_in_the_shops_own_currency_keeps_no_rate(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("fx_rates", {"base": "CNY", "rates": [RATE]})
    assert (await buyer.place({"1001": 1}, 4_000, address_id=await buyer.address())).status_code == 201
    assert await services.pool.fetchval("SELECT fx_rates FROM orders") is None


async def test_without_a_rate_the_currency_is_refused_and_nothing_is_placed(buyer: Buyer) -> None:
    refused = await buyer.place({"1001": 1}, 417, currency="USD", address_id=await buyer.address())
    assert (refused.status_code, refused.json()["code"]) == (422, "currency_not_sold")
    assert await buyer.orders() == 0


async def test_only_an_operator_sets_rates_and_the_same_again_changes_nothing(
    put: Put, client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    document = {"base": "CNY", "rates": [RATE]}
    for caller in (login("m", "merchant", "7"), login("42")):
        assert (await client.put("/admin/fx_rates", json=document, headers=caller)).status_code == 403
    assert services.prices.book.fx_rates == {}
    assert await put("fx_rates", document) == document
    version = "SELECT version FROM snapshot_version WHERE name = 'charges'"
    before = await services.pool.fetchval(version)
    assert await put("fx_rates", document) == document
    assert await services.pool.fetchval(version) == before
    listed = await client.get("/admin/fx_rates", headers=login("ann", "op"))
    assert listed.json() == {"items": [document], "next_cursor": None}
