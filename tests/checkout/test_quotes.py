"""What a buyer was quoted holds until it expires; after that the answer says what has changed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from app.pricing.kept_quotes import KeptQuotes
from app.pricing.keys import quote_key
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.coupons.calls import CART, cal_price, granted, put_template
from tests.rows import put_flash_sale

PATH = "/shopping/cart/checkout/entries"
PROMOTION: dict[str, Any] = {
    "name": "Spend 200 save 30",
    "lane": "shop",
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2099-01-01T00:00:00Z",
    "condition": {"min_amount_minor": 20_000},
    "effect": {"kind": "amount_off", "amount_minor": 3_000, "per": "order"},
}
Checkout = Callable[..., Awaitable[httpx.Response]]
Put = Callable[..., Awaitable[None]]


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture
def put_promotion(client: httpx.AsyncClient, op: dict[str, str]) -> Put:
    async def put(**change: Any) -> None:
        answer = await client.put("/admin/promotions/p-1", json=PROMOTION | change, headers=op)
        assert answer.status_code == 200, answer.text

    return put


@pytest.fixture
def put_price(client: httpx.AsyncClient, op: dict[str, str]) -> Put:
    async def put(price_minor: int = 10_000) -> None:
        skus = [{"sku_id": "1001", "prices": {"CNY": {"price_minor": price_minor}}}]
        item = {"shop_id": "7", "title": "Tea", "item_type": "virtual", "skus": skus}
        assert (await client.put("/admin/items/tea", json=item, headers=op)).status_code == 200

    return put


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str], put_price: Put, put_promotion: Put) -> None:
    """One SKU at 100.00; two of them are 30.00 off."""
    await client.put("/admin/shops/7", json={"name": "Lan's Tea", "currency": "CNY"}, headers=op)
    await put_price()
    await client.put("/admin/skus/1001/stock", json={"on_hand": 10}, headers=op)
    await put_promotion()


@pytest.fixture
def checkout(client: httpx.AsyncClient, login: Login) -> Checkout:
    async def call(
        summary: dict[str, Any], *, key: str = "k", buyer_id: str = "42", **change: Any
    ) -> httpx.Response:
        quoted = {"payable_minor": summary["payable_minor"], "quote_id": summary["quote_id"]}
        headers = login(buyer_id) | {"idempotency-key": key}
        return await client.post(PATH, json=CART | quoted | change, headers=headers)

    return call


async def assert_nothing_placed(services: Services) -> None:
    counts = "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM idempotency WHERE call = $1)"
    assert tuple(await services.pool.fetchrow(counts, "checkout/entries")) == (0, 0)
    assert await services.pool.fetchval("SELECT sum(reserved) FROM stock_pool") == 0


async def test_a_quote_is_honoured_though_its_rule_has_gone(
    client: httpx.AsyncClient, services: Services, login: Login, put_promotion: Put, checkout: Checkout
) -> None:
    summary = await cal_price(client, login())
    await services.quotes.stop()  # written
    await put_promotion(enabled=False)

    placed = await checkout(summary)

    assert (placed.status_code, placed.json()["payable_minor"]) == (201, 17_000)
    line = await services.pool.fetchrow("SELECT * FROM order_line")
    assert (line["goods_minor"], line["promotion_discount_minor"], line["payable_minor"]) == (
        20_000,
        3_000,
        17_000,
    )
    given = {"kind": "promotion", "rule_id": "p-1", "name": "Spend 200 save 30", "amount_minor": 3_000}
    assert line["discounts"] == [given]
    order = await services.pool.fetchrow("SELECT * FROM orders")
    assert (order["promotion_discount_minor"], order["payable_minor"]) == (3_000, 17_000)
    assert order["quote_id"] == summary["quote_id"]
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_a_price_of_the_catalog_that_rose_or_fell_is_honoured_as_it_was(
    client: httpx.AsyncClient, services: Services, login: Login, put_price: Put, checkout: Checkout
) -> None:
    summary = await cal_price(client, login())
    await put_price(12_000)
    assert (await checkout(summary, key="risen")).status_code == 201
    await put_price(9_000)
    assert (await checkout(summary, key="fallen")).status_code == 201
    rows = await services.pool.fetch("SELECT unit_price_minor, payable_minor FROM order_line")
    assert [tuple(row) for row in rows] == [(10_000, 17_000), (10_000, 17_000)]
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_an_expired_quote_is_refused_with_what_has_changed_line_by_line(
    client: httpx.AsyncClient,
    services: Services,
    clock: OffsetClock,
    login: Login,
    put_price: Put,
    put_promotion: Put,
    checkout: Checkout,
) -> None:
    summary = await cal_price(client, login())
    await put_price(11_000)
    await put_promotion(name="Spend 200 save 20", effect=PROMOTION["effect"] | {"amount_minor": 2_000})
    clock.advance(timedelta(seconds=301))

    refused = await checkout(summary)

    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert refused.json()["summary"]["payable_minor"] == 20_000
    rule = {"sku_id": "1001", "field": "discount_minor", "kind": "promotion", "rule_id": "p-1"}
    assert refused.json()["difference"] == [
        {"field": "payable_minor", "was_minor": 17_000, "now_minor": 20_000},
        {"sku_id": "1001", "field": "unit_price_minor", "was_minor": 10_000, "now_minor": 11_000},
        {"sku_id": "1001", "field": "payable_minor", "was_minor": 17_000, "now_minor": 20_000},
        {**rule, "name": "Spend 200 save 30", "was_minor": 3_000, "now_minor": 0},
        {**rule, "name": "Spend 200 save 20", "was_minor": 0, "now_minor": 2_000},
    ]
    await assert_nothing_placed(services)


async def test_an_expired_quote_at_an_unchanged_price_is_simply_placed(
    client: httpx.AsyncClient, clock: OffsetClock, login: Login, checkout: Checkout
) -> None:
    summary = await cal_price(client, login())
    clock.advance(timedelta(hours=2))
    assert (await checkout(summary)).status_code == 201


async def test_a_lost_quote_is_priced_anew(
    client: httpx.AsyncClient, services: Services, login: Login, put_promotion: Put, checkout: Checkout
) -> None:
    summary = await cal_price(client, login())
    await services.quotes.stop()  # written
    await services.redis.flushall()
    assert (await checkout(summary, key="unchanged")).status_code == 201

    await put_promotion(enabled=False)
    refused = await checkout(summary, key="changed")
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert refused.json()["difference"] == [
        {"field": "payable_minor", "was_minor": 17_000, "now_minor": 20_000}
    ]
    assert await services.pool.fetchval("SELECT count(*) FROM orders") == 1


async def test_the_summary_of_a_refusal_is_a_quote_like_any_other(
    client: httpx.AsyncClient, services: Services, login: Login, put_promotion: Put, checkout: Checkout
) -> None:
    summary = await cal_price(client, login())
    await services.quotes.stop()  # written
    await services.redis.flushall()
    await put_promotion(enabled=False)
    newer = (await checkout(summary)).json()["summary"]
    await put_promotion(effect=PROMOTION["effect"] | {"amount_minor": 100})
    assert (await checkout(newer)).json()["payable_minor"] == 20_000


@pytest.mark.parametrize("quote_id", ["forged", "", "7\r\nDEL *"])
async def test_a_forged_quote_is_a_lost_one(services: Services, checkout: Checkout, quote_id: str) -> None:
    refused = await checkout({"payable_minor": 1, "quote_id": quote_id})
    assert refused.json()["code"] == ("price_changed" if quote_id == "forged" else "invalid_request")
    await assert_nothing_placed(services)


async def test_nobody_uses_somebody_elses_quote_or_that_of_another_cart(
    client: httpx.AsyncClient, services: Services, login: Login, put_promotion: Put, checkout: Checkout
) -> None:
    mine = await cal_price(client, login("42"))
    more = await cal_price(client, login("42"), lines=[{"sku_id": "1001", "quantity": 3}])
    await put_promotion(enabled=False)
    for refused in (
        await checkout(mine, buyer_id="43"),
        await checkout(mine, lines=[{"sku_id": "1001", "quantity": 1}]),
        await checkout(mine, address_id="5"),
        await checkout(more),
        await checkout(mine | {"payable_minor": 16_999}),
    ):
        assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert len(refused.json()["difference"]) == 3  # it was the buyer's own, with another amount
    await assert_nothing_placed(services)


async def test_a_quote_from_before_the_login_is_for_whoever_presents_it(
    client: httpx.AsyncClient, put_promotion: Put, checkout: Checkout
) -> None:
    summary = await cal_price(client, {})
    await put_promotion(enabled=False)
    assert (await checkout(summary)).status_code == 201


async def test_a_quote_may_be_used_for_several_orders(
    client: httpx.AsyncClient, services: Services, login: Login, put_promotion: Put, checkout: Checkout
) -> None:
    summary = await cal_price(client, login())
    await put_promotion(enabled=False)
    answers = await asyncio.gather(*(checkout(summary, key=f"k{n}") for n in range(4)))
    assert [answer.status_code for answer in answers] == [201] * 4
    again = await checkout(summary, key="k0")
    assert (again.content, again.headers["idempotent-replayed"]) == (answers[0].content, "true")
    assert await services.pool.fetchval("SELECT count(*) FROM orders") == 4


async def test_a_quoted_coupon_that_was_spent_meanwhile_is_refused_by_the_ledger(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t")
    coupon_ids = [await granted(client, op, "t")]
    quotes = [await cal_price(client, login(), coupon_ids=coupon_ids) for _ in range(2)]
    assert [quote["payable_minor"] for quote in quotes] == [16_000, 16_000]
    placed = await checkout(quotes[0], key="k0", coupon_ids=coupon_ids)
    refused = await checkout(quotes[1], key="k1", coupon_ids=coupon_ids)
    assert placed.status_code == 201
    assert (refused.status_code, refused.json()["code"]) == (409, "coupon_unavailable")
    assert await services.pool.fetchval("SELECT count(*) FROM orders") == 1
    again = await checkout(quotes[0], key="k0", coupon_ids=coupon_ids)
    assert again.content == placed.content
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_a_template_that_changed_keeps_its_quotes_and_the_coupon_is_spent(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t")
    coupon_ids = [await granted(client, op, "t")]
    summary = await cal_price(client, login(), coupon_ids=coupon_ids)
    await put_template(client, op, "t", effect={"kind": "amount_off", "amount_minor": 1})
    assert (await checkout(summary, coupon_ids=coupon_ids)).json()["payable_minor"] == 16_000
    assert await services.pool.fetchval("SELECT status FROM coupon") == "locked"
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_a_flash_sales_end_ends_its_quotes(
    client: httpx.AsyncClient, services: Services, clock: OffsetClock, login: Login, checkout: Checkout
) -> None:
    await put_flash_sale(services.pool, "noon", "1001", price_minor=5_000, quantity=5)
    await services.prices.refresh()
    clock.advance(timedelta(minutes=58))
    sale = {"mode": "flash", "activity_id": "noon"}
    summary = await cal_price(client, login(), **sale)
    clock.advance(timedelta(minutes=3))
    refused = await checkout(summary, **sale)
    assert (refused.status_code, refused.json()["code"]) == (409, "activity_not_open")
    await assert_nothing_placed(services)


async def test_goods_that_ran_out_are_refused_whatever_was_quoted(
    client: httpx.AsyncClient,
    services: Services,
    op: dict[str, str],
    login: Login,
    put_promotion: Put,
    checkout: Checkout,
) -> None:
    summary = await cal_price(client, login())
    await put_promotion(enabled=False)
    await client.put("/admin/skus/1001/stock", json={"on_hand": 1}, headers=op)
    refused = await checkout(summary)
    assert (refused.status_code, refused.json()["code"]) == (409, "out_of_stock")
    await assert_nothing_placed(services)


async def test_quotes_beyond_what_is_kept_are_left_out_and_the_rest_ends_by_itself(
    client: httpx.AsyncClient, services: Services, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.pricing.kept_quotes.KEPT_MAX", 2)
    quotes = []
    for _ in range(3):
        quotes.append(await cal_price(client, login()))
        await services.quotes.stop()
    kept = [await services.redis.ttl(quote_key(quote["quote_id"])) for quote in quotes]
    assert kept[2] == -2
    assert all(415 <= ttl_s <= 420 for ttl_s in kept[:2])


async def test_what_was_not_written_yet_is_found_and_stopping_writes_it(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    summary = await cal_price(client, login())
    found = await services.quotes.find(summary["quote_id"])
    assert found is not None
    assert found.payable_minor == 17_000
    await services.quotes.stop()
    elsewhere = KeptQuotes(services.valkey, 300)
    assert await elsewhere.find(summary["quote_id"]) == found
