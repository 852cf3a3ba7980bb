"""Gifts in orders: lines at no cost whose stock is reserved, and which never hold an order up."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.rows import put_flash_sale, put_sku

CART: dict[str, Any] = {"currency": "CNY", "lines": [{"sku_id": "tea", "quantity": 1}], "payable_minor": 1000}
GIFT = {"name": "A cup with it", "lane": "shop", "effect": {"kind": "gift", "sku_id": "cup", "quantity": 2}}


@pytest.fixture
def place(client: httpx.AsyncClient, login: Login) -> Any:
    async def call(key: str = "k", **change: Any) -> httpx.Response:
        headers = {**login(), "idempotency-key": key}
        return await client.post("/shopping/cart/checkout/entries", json=CART | change, headers=headers)

    return call


@pytest.fixture
async def pools(client: httpx.AsyncClient, services: Services, login: Login) -> dict[str, int]:
    """The pools of tea and of the cups that come with it: five of them."""
    found = {
        "tea": await put_sku(services.pool, "tea", price_minor=1000),
        "cup": await put_sku(services.pool, "cup", price_minor=300, on_hand=5),
    }
    put = await client.put("/admin/promotions/p", json=GIFT, headers=login("ann", "op"))
    assert put.status_code == 200, put.text
    return found


async def reserved(services: Services, pool_id: int) -> int:
    units: int = await services.pool.fetchval("SELECT reserved FROM stock_pool WHERE pool_id = $1", pool_id)
    return units


async def lines(services: Services) -> list[tuple[Any, ...]]:
    rows = await services.pool.fetch(
        "SELECT sku_id, quantity, unit_price_minor, payable_minor FROM order_line ORDER BY order_id, line_id"
    )
    return [tuple(row) for row in rows]


async def test_a_gift_is_an_order_line_at_no_cost_with_its_stock_reserved_until_the_order_is_canceled(
    place: Any, pools: dict[str, int], client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    placed = await place()
    assert placed.status_code == 201, placed.text
    assert await lines(services) == [("tea", 1, 1000, 1000), ("cup", 2, 0, 0)]
    assert await reserved(services, pools["cup"]) == 2
    detail = (await client.get(f"/shopping/orders/{placed.json()['order_id']}", headers=login())).json()
    given = {"kind": "promotion", "rule_id": "p", "name": "A cup with it", "amount_minor": 0}
    assert detail["shops"][0]["lines"][1]["discounts"] == [given]
    await client.post(f"/shopping/orders/{placed.json()['order_id']}/cancel", headers=login())
    assert await reserved(services, pools["cup"]) == 0
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_a_gift_of_what_is_bought_as_well_is_reserved_together_with_it(
    place: Any, pools: dict[str, int], services: Services
) -> None:
    cups = [{"sku_id": "cup", "quantity": 3}]
    assert (await place("1", lines=cups, payable_minor=900)).status_code == 201
    assert await lines(services) == [("cup", 3, 300, 900), ("cup", 2, 0, 0)]
    assert await reserved(services, pools["cup"]) == 5
    await assert_audit_clean(services, except_for={"waiting_outbox"})


@pytest.mark.parametrize("gate", ["gate", "ledger"])
async def test_a_gift_that_is_gone_holds_no_order_up(
    place: Any, pools: dict[str, int], services: Services, gate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if gate == "ledger":  # nobody is turned away before it
        await services.valkey.close()
    for key in ("1", "2", "3"):
        placed = await place(key)
        assert placed.status_code == 201, placed.text
    assert [sku_id for sku_id, *_ in await lines(services)] == ["tea", "cup", "tea", "cup", "tea"]
    assert await reserved(services, pools["cup"]) == 4
    # more cups than there are is another matter
    refused = await place("4", lines=[{"sku_id": "cup", "quantity": 2}], payable_minor=600)
    assert (refused.status_code, refused.json()["sku_ids"]) == (409, ["cup"])
    assert await reserved(services, pools["cup"]) == 4


async def test_a_gift_counts_against_no_limit_of_the_flash_sale_that_gives_it(
    place: Any, pools: dict[str, int], client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    sale = await put_flash_sale(services.pool, "noon", "cup", price_minor=100, quantity=5, per_buyer_max=1)
    await services.prices.refresh()
    flash = {"mode": "flash", "activity_id": "noon", "lines": [{"sku_id": "cup", "quantity": 1}]}
    placed = await place(**flash, payable_minor=100)
    assert placed.status_code == 201, placed.text
    assert (await reserved(services, sale), await reserved(services, pools["cup"])) == (1, 2)
    taken = "SELECT quantity FROM purchase_limit"
    assert await services.pool.fetchval(taken) == 1
    await assert_audit_clean(services, except_for={"waiting_outbox"})
    await client.post(f"/shopping/orders/{placed.json()['order_id']}/cancel", headers=login())
    assert await services.pool.fetchval(taken) == 0
    assert (await reserved(services, sale), await reserved(services, pools["cup"])) == (0, 0)
    await assert_audit_clean(services, except_for={"waiting_outbox"})


@pytest.mark.parametrize(("cups", "kept"), [(5, ["cup", "tea", "cup"]), (2, ["cup", "tea"])])
async def test_a_quote_with_a_gift_is_honoured_as_far_as_the_gift_is_there(
    place: Any,
    pools: dict[str, int],
    client: httpx.AsyncClient,
    services: Services,
    login: Login,
    cups: int,
    kept: list[str],
) -> None:
    wanted = [{"sku_id": "cup", "quantity": 1}, {"sku_id": "tea", "quantity": 1}]
    cart = {"currency": "CNY", "lines": wanted}
    quoted = (await client.post("/shopping/cal_price/v4_4", json=cart, headers=login())).json()
    withdrawn = GIFT | {"enabled": False}
    await client.put("/admin/promotions/p", json=withdrawn, headers=login("ann", "op"))
    dearer = {"name": "Off", "lane": "item", "effect": {"kind": "amount_off", "amount_minor": 1}}
    await client.put("/admin/promotions/q", json=dearer, headers=login("ann", "op"))
    set_stock = "UPDATE stock_pool SET on_hand = $2, version = version + 1 WHERE pool_id = $1"
    await services.pool.execute(set_stock, pools["cup"], cups)
    placed = await place(lines=wanted, payable_minor=1300, quote_id=quoted["quote_id"])
    assert placed.status_code == 201, placed.text
    assert [sku_id for sku_id, *_ in await lines(services)] == kept
    assert await reserved(services, pools["cup"]) == (3 if cups == 5 else 1)
