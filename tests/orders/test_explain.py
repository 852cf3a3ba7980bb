"""How an order came to its price: replayed with the rules of then, also when all of them have changed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.conftest import Login
from tests.coupons.calls import granted, put_template
from tests.rows import put_shop, put_sku

PERCENT = {"kind": "percent_off", "percent_bp": 1000}
TEN_OFF = {"kind": "amount_off", "amount_minor": 1_000}


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def skus(services: Services) -> None:
    await put_sku(services.pool, "1001", price_minor=10_000)
    await put_sku(services.pool, "1002", shop_id="8", price_minor=5_000)
    await services.prices.refresh()


@pytest.fixture
def publish(client: httpx.AsyncClient, op: dict[str, str]) -> Any:
    async def call(promotion_id: str, **fields: Any) -> None:
        document = {"name": f"Name {promotion_id}", "lane": "shop"} | fields
        answer = await client.put(f"/admin/promotions/{promotion_id}", json=document, headers=op)
        assert answer.status_code == 200, answer.text

    return call


@pytest.fixture
def order(client: httpx.AsyncClient, login: Login) -> Any:
    async def call(payable_minor: int, *sku_ids: str, **more: Any) -> dict[str, Any]:
        lines = [{"sku_id": sku_id, "quantity": 1} for sku_id in sku_ids]
        answer = await client.post(
            "/shopping/cart/checkout/entries",
            json={"currency": "CNY", "lines": lines, "payable_minor": payable_minor} | more,
            headers=login("42") | {"idempotency-key": f"{payable_minor}"},
        )
        assert answer.status_code == 201, answer.text
        placed: dict[str, Any] = answer.json()
        return placed

    return call


@pytest.fixture
def pricing(client: httpx.AsyncClient) -> Any:
    async def call(order_id: str, headers: dict[str, str]) -> dict[str, Any]:
        answer = await client.get(f"/admin/orders/{order_id}/pricing", headers=headers)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    return call


async def test_each_step_says_what_it_looked_at_and_what_it_gave(
    publish: Any, order: Any, pricing: Any, op: dict[str, str]
) -> None:
    await publish("p", lane="item", effect=PERCENT, scope={"sku_ids": ["1001"]})
    await publish("q", effect=TEN_OFF, condition={"min_amount_minor": 9_000})
    await publish("r", effect=TEN_OFF, condition={"min_amount_minor": 90_000})
    told = await pricing((await order(8_000, "1001"))["order_id"], op)
    first, second = told["steps"]
    line = {"sku_id": "1001", "looked_at_minor": 10_000, "gave_minor": 1_000, "left_minor": 9_000}
    assert first == {
        "lane": "item",
        "kind": "promotion",
        "rule_id": "p",
        "name": "Name p",
        "effect": "percent_off",
        "looked_at_minor": 10_000,
        "gave_minor": 1_000,
        "lines": [line],
        "version": 1,
    }
    assert (second["rule_id"], second["looked_at_minor"], second["gave_minor"]) == ("q", 9_000, 1_000)
    (why,) = told["rejected"]
    assert (why["rule_id"], why["code"], why["missing_minor"]) == ("r", "minimum_not_met", 82_000)
    assert (told["adds_up"], told["matches"], told["differences"]) == (True, True, [])


async def test_a_replay_uses_the_rules_and_categories_of_then(
    publish: Any, order: Any, pricing: Any, services: Services, client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    item = {"shop_id": "7", "title": "Tea", "item_type": "virtual", "category_ids": ["tea"]}
    skus = [{"sku_id": "1003", "prices": {"CNY": {"price_minor": 10_000}}}]
    await client.put("/admin/items/tea", json=item | {"skus": skus}, headers=op)
    await client.put("/admin/skus/1003/stock", json={"on_hand": 5}, headers=op)
    await publish("p", effect=PERCENT, scope={"category_ids": ["tea"]})
    await client.put(
        "/admin/coupon_templates/t", json={"name": "c", "valid_days": 7, "effect": TEN_OFF}, headers=op
    )
    granted = await client.post(
        "/admin/coupon_templates/t/grants",
        json={"user_ids": ["42"]},
        headers=op | {"idempotency-key": "g"},
    )
    coupon_id = granted.json()["coupons"][0]["coupon_id"]
    order_id = (await order(8_000, "1003", coupon_ids=[coupon_id]))["order_id"]
    before = await pricing(order_id, op)
    assert ([each["rule_id"] for each in before["steps"]], before["matches"]) == (["p", coupon_id], True)

    await publish("p", effect=TEN_OFF)
    await publish("p", effect=TEN_OFF, enabled=False)
    await publish("q", effect=PERCENT)
    more = {"name": "c", "valid_days": 7, "effect": {"kind": "amount_off", "amount_minor": 5}}
    await client.put("/admin/coupon_templates/t", json=more, headers=op)
    moved = item | {
        "category_ids": ["new"],
        "skus": [{"sku_id": "1003", "prices": {"CNY": {"price_minor": 7}}}],
    }
    assert (await client.put("/admin/items/tea", json=moved, headers=op)).status_code == 200
    assert await pricing(order_id, op) == before


async def test_a_shop_sees_its_own_part_and_nobody_elses(
    publish: Any, order: Any, pricing: Any, client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await publish("p", lane="platform", effect={"kind": "amount_off", "amount_minor": 3_000})
    await publish("s", shop_id="8", effect=TEN_OFF, condition={"min_amount_minor": 90_000})
    placed = await order(12_000, "1001", "1002")
    first, second = (each["order_id"] for each in placed["orders"])
    whole = await pricing(placed["order_id"], op)
    assert (whole["steps"][0]["gave_minor"], whole["matches"], len(whole["rejected"])) == (3_000, True, 1)
    part = await pricing(first, login("m", "merchant", "7"))
    assert [each["sku_id"] for each in part["lines"]] == ["1001"]
    assert (part["steps"][0]["gave_minor"], part["steps"][0]["looked_at_minor"]) == (2_000, 10_000)
    assert (part["adds_up"], part["matches"], part["rejected"]) == (True, True, [])
    for order_id in (second, placed["order_id"]):
        path = f"/admin/orders/{order_id}/pricing"
        assert (await client.get(path, headers=login("m", "merchant", "7"))).status_code == 404


async def test_a_spent_budget_and_an_honoured_quote_are_replayed_as_they_were(
    publish: Any,
    order: Any,
    pricing: Any,
    services: Services,
    client: httpx.AsyncClient,
    op: dict[str, str],
    login: Login,
) -> None:
    await publish("p", effect=TEN_OFF, limits={"uses_max": 1})
    await order(9_000, "1001")
    await services.prices.refresh()
    late = await pricing((await order(10_000, "1001"))["order_id"], op)
    assert (late["steps"], late["matches"]) == ([], True)
    assert [(each["rule_id"], each["code"]) for each in late["rejected"]] == [("p", "uses_spent")]

    cart = {"currency": "CNY", "lines": [{"sku_id": "1002", "quantity": 1}]}
    await publish("p", effect=PERCENT)
    quote = (await client.post("/shopping/cal_price/v4_4", json=cart, headers=login("42"))).json()
    await publish("p", effect=TEN_OFF)
    quoted = await order(4_500, "1002", quote_id=quote["quote_id"])
    told = await pricing(quoted["order_id"], op)
    assert ([each["gave_minor"] for each in told["steps"]], told["matches"]) == ([500], True)


async def test_a_choice_groups_best_that_was_spent_is_replayed_as_spent(
    publish: Any, order: Any, pricing: Any, services: Services, op: dict[str, str]
) -> None:
    await publish("p", effect=TEN_OFF, choice_group="g", limits={"budget_minor": 1_500})
    await publish("q", effect={"kind": "amount_off", "amount_minor": 400}, choice_group="g")
    await order(9_000, "1001")
    await services.prices.refresh()
    late = await pricing((await order(9_600, "1001"))["order_id"], op)
    assert ([each["rule_id"] for each in late["steps"]], late["matches"]) == (["q"], True)


async def test_a_named_coupon_that_was_not_among_the_best_is_not_replayed(
    order: Any, pricing: Any, client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    coupons = {}
    for template_id, amount_minor in (("small", 400), ("large", 1_000)):
        effect = {"kind": "amount_off", "amount_minor": amount_minor}
        document = {"name": template_id, "valid_days": 7, "effect": effect, "stack_category": "x"}
        await client.put(f"/admin/coupon_templates/{template_id}", json=document, headers=op)
        granted = await client.post(
            f"/admin/coupon_templates/{template_id}/grants",
            json={"user_ids": ["42"]},
            headers=op | {"idempotency-key": template_id},
        )
        coupons[template_id] = granted.json()["coupons"][0]["coupon_id"]
    placed = await order(9_000, "1001", auto_coupons=True, coupon_ids=[coupons["small"]])
    told = await pricing(placed["order_id"], op)
    assert ([each["rule_id"] for each in told["steps"]], told["matches"]) == ([coupons["large"]], True)
    assert [(each["rule_id"], each["code"]) for each in told["rejected"]] == [
        (coupons["small"], "stack_conflict")
    ]


async def test_coupons_are_replayed_in_the_order_in_which_they_end(
    client: httpx.AsyncClient, order: Any, pricing: Any, op: dict[str, str]
) -> None:
    coupon_ids = []
    for template_id, days, effect in (("t", 7, TEN_OFF), ("u", 1, PERCENT)):
        document = {"name": template_id, "valid_days": days, "effect": effect}
        await put_template(client, op, template_id, **document, condition={})
        coupon_ids.append(await granted(client, op, template_id))
    placed = await order(8_000, "1001", coupon_ids=coupon_ids)  # the percentage first: it ends sooner
    told = await pricing(placed["order_id"], op)
    assert [step["rule_id"] for step in told["steps"]] == coupon_ids[::-1]
    assert (told["adds_up"], told["matches"], told["differences"]) == (True, True, [])


async def test_a_coupon_that_was_not_the_buyers_to_use_is_not_replayed(
    order: Any, publish: Any, pricing: Any, client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    """One that an earlier order has locked, somebody else's, and the id of a promotion."""
    await publish("p", effect=TEN_OFF)
    document = {"name": "c", "valid_days": 7, "effect": TEN_OFF}
    await client.put("/admin/coupon_templates/c", json=document, headers=op)
    granted = await client.post(
        "/admin/coupon_templates/c/grants",
        json={"user_ids": ["42", "43"]},
        headers=op | {"idempotency-key": "1"},
    )
    mine, other = (each["coupon_id"] for each in granted.json()["coupons"])
    await order(8_000, "1001", coupon_ids=[mine])
    placed = await order(9_000, "1001", coupon_ids=[mine, other, "p"])
    told = await pricing(placed["order_id"], op)
    assert ([each["rule_id"] for each in told["steps"]], told["matches"]) == (["p"], True)
    assert {(each["rule_id"], each["code"]) for each in told["rejected"]} == {
        (mine, "already_used"),
        (other, "coupon_not_found"),
        ("p", "coupon_not_found"),
    }


async def test_amounts_in_a_shops_own_currency_are_replayed_as_such(
    publish: Any, order: Any, pricing: Any, services: Services, op: dict[str, str]
) -> None:
    await put_shop(services.pool, "9", "USD")
    await put_sku(services.pool, "1009", shop_id="9", price_minor=5_000)
    await services.pool.execute("UPDATE snapshot_version SET version = version + 1 WHERE name = 'catalog'")
    await services.pool.execute("UPDATE shop SET version = 99 WHERE shop_id = '9'")
    await services.prices.refresh()
    await publish("p", effect=TEN_OFF)
    told = await pricing((await order(5_000, "1009"))["order_id"], op)
    assert (told["steps"], told["matches"]) == ([], True)


async def test_what_does_not_come_out_is_said(
    publish: Any, order: Any, pricing: Any, services: Services, op: dict[str, str]
) -> None:
    await publish("p", effect=TEN_OFF)
    order_id = (await order(9_000, "1001"))["order_id"]
    await services.pool.execute(
        "UPDATE order_line SET promotion_discount_minor = 900, payable_minor = 9100,"
        " discounts = jsonb_set(discounts, '{0,amount_minor}', '900')"
    )
    told = await pricing(order_id, op)
    assert (told["adds_up"], told["matches"]) == (False, False)
    difference = {"sku_id": "1001", "kind": "promotion", "rule_id": "p"}
    assert told["differences"] == [difference | {"recorded_minor": 900, "replayed_minor": 1_000}]
    await services.pool.execute("UPDATE orders SET priced_with = NULL")
    told = await pricing(order_id, op)
    assert (told["matches"], told["steps"]) == (None, [])
