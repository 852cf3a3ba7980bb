"""Budgets, uses and uses of a buyer: spent once with the order, given back with its cancellation."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from app.bootstrap import Services, open_services
from app.checkout.errors import PriceChanged
from app.checkout.place import place
from app.lib.auth import Caller
from app.lib.hot import HotRequest
from app.pricing.schemas import CartLine, CheckoutRequest, Summary
from app.settings import Settings
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.rows import put_sku
from tests.waiting import wait_until

TEN_OFF = {"name": "10 off", "lane": "shop", "effect": {"kind": "amount_off", "amount_minor": 1_000}}
FULL, LOWERED = 10_000, 9_000
CART = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 1}]}
# No relay runs beside these tests.
UNEXPORTED = ("waiting_outbox",)


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def sku(services: Services) -> None:
    await put_sku(services.pool, "1001", price_minor=FULL, on_hand=1_000)
    await services.prices.refresh()


@pytest.fixture
def publish(client: httpx.AsyncClient, op: dict[str, str]) -> Any:
    async def call(limits: dict[str, int], **change: Any) -> None:
        answer = await client.put(
            "/admin/promotions/p", json=TEN_OFF | {"limits": limits} | change, headers=op
        )
        assert answer.status_code == 200, answer.text

    return call


@pytest.fixture
def order(client: httpx.AsyncClient, login: Login) -> Any:
    async def call(payable_minor: int, buyer_id: str = "42", key: str = "k") -> httpx.Response:
        return await client.post(
            "/shopping/cart/checkout/entries",
            json=CART | {"payable_minor": payable_minor},
            headers=login(buyer_id) | {"idempotency-key": key},
        )

    return call


async def buy(services: Services, buyer_id: str, payable_minor: int) -> str:
    """What the buyer is told, by the process of these services: "placed", or a problem's code."""
    body = CheckoutRequest("CNY", [CartLine("1001", 1)], payable_minor=payable_minor)
    try:
        await place(services, HotRequest(Caller(buyer_id, "buyer"), body, "rush"))
    except PriceChanged as changed:
        summary: Summary = changed.members["summary"]
        return f"{changed.code} {summary.payable_minor}"
    return "placed"


async def taken(services: Services) -> dict[str, int]:
    rows = await services.pool.fetch("SELECT measure, whose, taken FROM rule_use WHERE taken > 0")
    return {f"{row['measure']} {row['whose']}".strip(): row["taken"] for row in rows}


async def test_what_is_spent_is_spent_for_all_and_the_refusal_says_what_it_costs_now(
    publish: Any, order: Any, services: Services, settings: Settings, client: httpx.AsyncClient
) -> None:
    await publish({"budget_minor": 1_999})
    async with open_services(settings, name="other") as other:
        assert (await order(LOWERED)).status_code == 201
        assert await taken(services) == {"budget CNY": 1_000}
        late = await order(LOWERED, "43")
        assert (late.status_code, late.json()["code"]) == (409, "price_changed")
        assert late.json()["summary"]["payable_minor"] == FULL
        (why,) = late.json()["summary"]["rejected"]
        assert (why["rule_id"], why["code"]) == ("p", "budget_spent")
        assert (await services.pool.fetchval("SELECT count(*) FROM orders")) == 1
        async with asyncio.timeout(1):
            while ("promotion", "p", "budget", "CNY") not in other.prices.book.uses:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.01)
        assert await buy(other, "43", LOWERED) == f"price_changed {FULL}"
    assert (await order(FULL, "43")).status_code == 201
    assert await taken(services) == {"budget CNY": 1_000}
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_of_sixty_at_two_processes_exactly_as_many_as_there_are_uses_get_it(
    publish: Any, services: Services, settings: Settings, client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    await publish({"uses_max": 25, "budget_minor": 100_000, "uses_per_buyer_max": 1})
    async with open_services(settings, name="other") as other:
        buys = [buy((services, other)[n % 2], str(n % 50), LOWERED) for n in range(60)]
        told = Counter(await asyncio.gather(*buys))
    assert told.pop("placed") in range(25, 36)  # a key that came twice is told its order twice
    assert set(told) == {f"price_changed {FULL}"}
    placed = await services.pool.fetchval("SELECT count(*) FROM orders WHERE promotion_discount_minor > 0")
    assert placed == 25
    counts = await taken(services)
    assert (counts["uses"], counts["budget CNY"]) == (25, 25_000)
    assert sum(counts[each] for each in counts if each.startswith("buyer ")) == 25
    uses = (await client.get("/admin/promotions/p/uses", headers=op)).json()
    assert uses == {"uses": 25, "given_minor": {"CNY": 25_000}}
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_a_canceled_order_gives_back_once_what_it_took(
    publish: Any, order: Any, services: Services, client: httpx.AsyncClient, login: Login
) -> None:
    await publish({"uses_max": 1, "budget_minor": 1_000, "uses_per_buyer_max": 1})
    order_id = (await order(LOWERED)).json()["order_id"]
    assert await taken(services) == {"uses": 1, "budget CNY": 1_000, "buyer 42": 1}
    assert (await order(LOWERED, "43")).status_code == 409
    cancel = f"/shopping/orders/{order_id}/cancel"
    answers = await asyncio.gather(*[client.post(cancel, headers=login("42")) for _ in range(5)])
    assert {answer.status_code for answer in answers} == {200}
    assert await taken(services) == {}
    assert await services.pool.fetchval("SELECT count(*) FROM order_rule_use") == 0

    async def open_again() -> bool:
        return services.prices.book.uses["promotion", "p", "uses", ""] == 0

    await wait_until(open_again, 1)
    assert (await order(LOWERED, "43")).status_code == 201
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_one_buyers_uses_are_its_own(
    publish: Any, order: Any, services: Services, client: httpx.AsyncClient, login: Login
) -> None:
    await publish({"uses_per_buyer_max": 1})
    assert (await order(LOWERED)).status_code == 201
    for headers, payable in ((login("42"), FULL), (login("43"), LOWERED), ({}, LOWERED)):
        answer = await client.post("/shopping/cal_price/v4_4", json=CART, headers=headers)
        assert answer.json()["payable_minor"] == payable
    again = await order(LOWERED, key="k2")
    assert (again.status_code, again.json()["summary"]["payable_minor"]) == (409, FULL)
    assert (await order(LOWERED)).headers["idempotent-replayed"] == "true"  # the placed one's own key
    assert await taken(services) == {"buyer 42": 1}


async def test_a_limit_set_later_counts_from_then_and_a_lowered_one_takes_nothing_back(
    publish: Any, order: Any, services: Services, client: httpx.AsyncClient, login: Login
) -> None:
    await publish({})
    before = (await order(LOWERED, key="k1")).json()["order_id"]
    assert await taken(services) == {}
    await publish({"uses_max": 2})
    assert (await order(LOWERED, key="k2")).status_code == 201
    assert (await order(LOWERED, key="k3")).status_code == 201
    await publish({"uses_max": 1})
    assert (await order(LOWERED, key="k4")).status_code == 409
    await client.post(f"/shopping/orders/{before}/cancel", headers=login("42"))
    assert await taken(services) == {"uses": 2}
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_coupons_count_for_their_template(
    services: Services, client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    template = {"name": "10 off", "valid_days": 7, "effect": TEN_OFF["effect"], "limits": {"uses_max": 1}}
    await client.put("/admin/coupon_templates/t", json=template, headers=op)
    granted = await client.post(
        "/admin/coupon_templates/t/grants",
        json={"user_ids": ["42", "43"]},
        headers=op | {"idempotency-key": "g"},
    )
    told = []
    for coupon, buyer_id in zip(granted.json()["coupons"], ("42", "43"), strict=True):
        answer = await client.post(
            "/shopping/cart/checkout/entries",
            json=CART | {"payable_minor": LOWERED, "coupon_ids": [coupon["coupon_id"]]},
            headers=login(buyer_id) | {"idempotency-key": "k"},
        )
        told.append((answer.status_code, answer.json().get("code")))
    assert told == [(201, None), (409, "price_changed")]
    statuses = await services.pool.fetch("SELECT status FROM coupon ORDER BY coupon_id")
    assert [row["status"] for row in statuses] == ["locked", "available"]
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_a_quote_is_honoured_only_while_the_budget_lasts(
    publish: Any, order: Any, services: Services, client: httpx.AsyncClient, login: Login
) -> None:
    await publish({"budget_minor": 1_500})
    quotes = {}
    for buyer_id in ("42", "43"):
        answer = await client.post("/shopping/cal_price/v4_4", json=CART, headers=login(buyer_id))
        quotes[buyer_id] = answer.json()["quote_id"]
    await publish({"budget_minor": 1_500}, effect={"kind": "amount_off", "amount_minor": 700})
    told = []
    for buyer_id, quote_id in quotes.items():
        answer = await client.post(
            "/shopping/cart/checkout/entries",
            json=CART | {"payable_minor": LOWERED, "quote_id": quote_id},
            headers=login(buyer_id) | {"idempotency-key": "k"},
        )
        told.append((answer.status_code, answer.json().get("summary", {}).get("payable_minor")))
    assert told == [(201, None), (409, FULL)]
    assert await taken(services) == {"budget CNY": 1_000}
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_a_gift_costs_its_rules_budget_nothing_and_is_placed(
    publish: Any, order: Any, services: Services
) -> None:
    await put_sku(services.pool, "cup", price_minor=300, on_hand=5)
    await services.prices.refresh()
    await publish({"budget_minor": 1_000}, effect={"kind": "gift", "sku_id": "cup"})
    placed = await order(FULL)
    assert placed.status_code == 201, placed.text
    skus = await services.pool.fetch("SELECT sku_id FROM order_line ORDER BY line_id")
    assert [row["sku_id"] for row in skus] == ["1001", "cup"]
    assert await taken(services) == {}
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_a_quote_of_a_rule_whose_limits_were_lifted_is_honoured(
    publish: Any, services: Services, client: httpx.AsyncClient, login: Login
) -> None:
    await publish({"uses_max": 1})
    headers = login() | {"idempotency-key": "k"}
    quoted = (await client.post("/shopping/cal_price/v4_4", json=CART, headers=headers)).json()
    await publish({}, effect={"kind": "amount_off", "amount_minor": 10})
    body = CART | {"payable_minor": LOWERED, "quote_id": quoted["quote_id"]}
    placed = await client.post("/shopping/cart/checkout/entries", json=body, headers=headers)
    assert (placed.status_code, placed.json().get("payable_minor")) == (201, LOWERED), placed.text
    assert await taken(services) == {}
    await assert_audit_clean(services, except_for=UNEXPORTED)
