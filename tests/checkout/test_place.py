"""Placing orders over HTTP: one effect, the right refusals, nothing changed by a refusal."""

import asyncio
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.checkout.pass_gate import SoldOut
from tests.conftest import Login
from tests.rows import put_flash_sale, put_sku

PATH = "/shopping/cart/checkout/entries"


def cart(*lines: tuple[str, int], payable_minor: int, **more: Any) -> dict[str, Any]:
    return {
        "currency": "CNY",
        "lines": [{"sku_id": sku_id, "quantity": quantity} for sku_id, quantity in lines],
        "payable_minor": payable_minor,
        **more,
    }


@pytest.fixture
def place(client: httpx.AsyncClient, login: Login) -> Any:
    async def call(body: Any, *, key: str = "key-1", buyer_id: str = "42") -> httpx.Response:
        return await client.post(PATH, json=body, headers={**login(buyer_id), "idempotency-key": key})

    return call


async def written(services: Services) -> dict[str, int]:
    """How many rows placing has written, and what is reserved."""
    row = await services.pool.fetchrow(
        "SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM order_line) AS lines,"
        " (SELECT count(*) FROM pay_order) AS due, (SELECT count(*) FROM outbox) AS events,"
        " (SELECT count(*) FROM idempotency) AS keys,"
        " (SELECT count(*) FROM stock_movement WHERE kind = 'reserve') AS reserves,"
        " (SELECT coalesce(sum(reserved), 0)::int FROM stock_pool) AS reserved"
    )
    return dict(row)


NOTHING = {"orders": 0, "lines": 0, "due": 0, "events": 0, "keys": 0, "reserves": 0, "reserved": 0}


async def test_a_placed_order_is_in_the_ledger_with_all_its_parts(place: Any, services: Services) -> None:
    await put_sku(services.pool, "1001", price_minor=10_000)
    await put_sku(services.pool, "1002", price_minor=250)
    await services.prices.refresh()
    answer = await place(cart(("1001", 2), ("1002", 1), payable_minor=20_250, memo="ring twice"))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    order_id = body["order_id"]
    assert body == {
        "order_id": order_id,
        "status": "NOT_PAID",
        "currency": "CNY",
        "payable_minor": 20_250,
        "pay_deadline": body["pay_deadline"],
        "orders": [{"order_id": order_id, "shop_id": "7", "payable_minor": 20_250}],
    }
    assert await written(services) == {
        "orders": 1,
        "lines": 2,
        "due": 1,
        "events": 1,
        "keys": 1,
        "reserves": 2,
        "reserved": 3,
    }
    event = await services.pool.fetchrow("SELECT * FROM outbox")
    assert (event["topic"], event["aggregate_id"]) == ("order.placed", int(order_id))
    assert event["payload"]["buyer_id"] == "42"


async def test_of_two_lines_one_may_have_a_discount_and_the_other_none(
    place: Any, services: Services
) -> None:
    await put_sku(services.pool, "1001", price_minor=10_000)
    await put_sku(services.pool, "1002", price_minor=100)
    effect = {"kind": "amount_off", "amount_minor": 1_000}
    promotion = {"name": "10 off", "lane": "item", "scope": {"sku_ids": ["1001"]}, "effect": effect}
    await services.pool.execute(
        "WITH next AS (UPDATE snapshot_version SET version = version + 1 WHERE name = 'promotions'"
        " RETURNING version) INSERT INTO promotion (promotion_id, document, version)"
        " SELECT 'p-1', $1, version FROM next",
        promotion,
    )
    await services.prices.refresh()
    answer = await place(cart(("1001", 1), ("1002", 1), payable_minor=9_100))
    assert answer.status_code == 201, answer.text
    kept = await services.pool.fetch("SELECT sku_id, discounts FROM order_line ORDER BY sku_id")
    given = {"kind": "promotion", "rule_id": "p-1", "name": "10 off", "amount_minor": 1_000}
    assert [tuple(row) for row in kept] == [("1001", [given]), ("1002", None)]


async def test_the_same_key_gets_the_same_answer_and_one_order(place: Any, services: Services) -> None:
    await put_sku(services.pool)
    await services.prices.refresh()
    first = await place(cart(("1001", 1), payable_minor=10_000))
    again = await place(cart(("1001", 1), payable_minor=10_000))
    assert (again.status_code, again.content) == (201, first.content)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert (await written(services))["orders"] == 1


async def test_the_same_key_twenty_times_at_once_is_one_order(place: Any, services: Services) -> None:
    await put_sku(services.pool)
    await services.prices.refresh()
    answers = await asyncio.gather(*[place(cart(("1001", 1), payable_minor=10_000)) for _ in range(20)])
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, answers[0].content)}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert (await written(services))["reserved"] == 1


async def test_a_key_with_other_content_is_refused(place: Any, services: Services) -> None:
    await put_sku(services.pool)
    await services.prices.refresh()
    await place(cart(("1001", 1), payable_minor=10_000))
    other = await place(cart(("1001", 2), payable_minor=20_000))
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await written(services))["reserved"] == 1


async def test_one_buyers_key_is_not_anothers(place: Any, services: Services) -> None:
    await put_sku(services.pool)
    await services.prices.refresh()
    mine = await place(cart(("1001", 1), payable_minor=10_000))
    theirs = await place(cart(("1001", 1), payable_minor=10_000), buyer_id="43")
    assert mine.json()["order_id"] != theirs.json()["order_id"]


async def test_another_price_than_the_buyer_saw_is_refused_with_the_new_summary(
    place: Any, services: Services
) -> None:
    await put_sku(services.pool)
    await services.prices.refresh()
    answer = await place(cart(("1001", 1), payable_minor=1))
    assert (answer.status_code, answer.json()["code"]) == (409, "price_changed")
    assert answer.json()["summary"]["payable_minor"] == 10_000
    assert await written(services) == NOTHING


async def test_more_than_there_is_is_refused_and_nothing_of_the_order_is_taken(
    place: Any, services: Services
) -> None:
    await put_sku(services.pool, "1001", on_hand=9)
    await put_sku(services.pool, "1002", on_hand=1)
    await services.prices.refresh()
    answer = await place(cart(("1001", 1), ("1002", 2), payable_minor=30_000))
    assert (answer.status_code, answer.json()["code"]) == (409, "out_of_stock")
    assert answer.json()["sku_ids"] == ["1002"]
    assert await written(services) == NOTHING


async def test_several_shops_are_one_parent_and_a_child_a_shop(place: Any, services: Services) -> None:
    await put_sku(services.pool, "1001", shop_id="7", price_minor=100)
    await put_sku(services.pool, "2001", shop_id="8", price_minor=30)
    await services.prices.refresh()
    body = (await place(cart(("1001", 1), ("2001", 2), payable_minor=160))).json()
    assert [(order["shop_id"], order["payable_minor"]) for order in body["orders"]] == [
        ("7", 100),
        ("8", 60),
    ]
    rows = await services.pool.fetch("SELECT * FROM orders ORDER BY order_id")
    assert [(row["parent_id"], row["shop_id"], row["payable_minor"]) for row in rows] == [
        (None, None, 160),
        (int(body["order_id"]), "7", 100),
        (int(body["order_id"]), "8", 60),
    ]
    assert await services.pool.fetchval("SELECT array_agg(amount_minor) FROM pay_order") == [160]


async def test_a_later_shops_refusal_gives_the_earlier_ones_reservation_back(
    place: Any, services: Services
) -> None:
    first = await put_sku(services.pool, "1001", shop_id="7", price_minor=100)
    await put_sku(services.pool, "2001", shop_id="8", price_minor=30, on_hand=0)
    await services.prices.refresh()
    answer = await place(cart(("1001", 1), ("2001", 1), payable_minor=130))
    assert answer.json()["code"] == "out_of_stock"
    assert await services.redis.hget(f"gate:{{7}}:pool:{first}", "flight") == b"0"
    assert await written(services) == NOTHING


async def test_a_hundred_buyers_for_seven_items_make_seven_orders(place: Any, services: Services) -> None:
    await put_sku(services.pool, on_hand=7)
    await services.prices.refresh()
    answers = await asyncio.gather(
        *[place(cart(("1001", 1), payable_minor=10_000), buyer_id=str(n)) for n in range(100)]
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 7 + [409] * 93
    assert (await written(services))["reserved"] == 7


async def test_the_ledger_refuses_what_a_wrong_gate_lets_through(place: Any, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=1)
    await services.prices.refresh()
    await services.redis.hset(f"gate:{{7}}:pool:{pool_id}", mapping={"free": 100, "version": 1, "flight": 0})
    answers = await asyncio.gather(
        *[place(cart(("1001", 1), payable_minor=10_000), buyer_id=str(n)) for n in range(20)]
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    assert (await written(services))["reserved"] == 1


async def test_a_retry_of_a_placed_order_gets_it_although_the_stock_is_gone(
    place: Any, services: Services
) -> None:
    await put_sku(services.pool, on_hand=1)
    await services.prices.refresh()
    first = await place(cart(("1001", 1), payable_minor=10_000))
    assert (await place(cart(("1001", 1), payable_minor=10_000), key="other")).status_code == 409
    again = await place(cart(("1001", 1), payable_minor=10_000))
    assert (again.status_code, again.content) == (201, first.content)


async def test_a_refused_key_is_judged_anew(place: Any, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=0)
    await services.prices.refresh()
    assert (await place(cart(("1001", 1), payable_minor=10_000))).status_code == 409
    await services.pool.execute("UPDATE stock_pool SET on_hand = 1, version = version + 1")
    await services.gate.load([("7", pool_id)])
    services.placing.sold_out = SoldOut()  # a moment later, or at another process
    assert (await place(cart(("1001", 1), payable_minor=10_000))).status_code == 201


async def test_a_flash_sale_sells_its_own_quantity_at_its_price_to_each_buyer_once(
    place: Any, services: Services
) -> None:
    await put_sku(services.pool, on_hand=50)
    await put_flash_sale(services.pool, "noon", "1001", price_minor=5_000, quantity=2, per_buyer_max=1)
    await services.prices.refresh()
    body = cart(("1001", 1), payable_minor=5_000, mode="flash", activity_id="noon")
    assert (await place(body)).status_code == 201
    second = await place(body, key="key-2")
    assert (second.status_code, second.json()["code"]) == (409, "purchase_limit_exceeded")
    assert (await place(body, buyer_id="43")).status_code == 201
    third = await place(body, buyer_id="44")
    assert (third.status_code, third.json()["code"]) == (409, "out_of_stock")
    rows = await services.pool.fetch("SELECT activity_id, on_hand, reserved FROM stock_pool ORDER BY pool_id")
    assert [tuple(row) for row in rows] == [("0", 50, 0), ("noon", 2, 2)]


async def test_a_sale_that_is_not_open_is_refused(place: Any, services: Services) -> None:
    await put_sku(services.pool)
    await services.prices.refresh()
    answer = await place(cart(("1001", 1), payable_minor=1, mode="flash", activity_id="noon"))
    assert (answer.status_code, answer.json()["code"]) == (409, "activity_not_open")


async def test_physical_goods_need_one_of_the_buyers_addresses(
    place: Any, services: Services, client: httpx.AsyncClient, login: Login
) -> None:
    await put_sku(services.pool, item_type="physical")
    await services.prices.refresh()
    without = await place(cart(("1001", 1), payable_minor=10_000))
    assert (without.status_code, without.json()["code"]) == (422, "address_invalid")
    saved = await client.post(
        "/address-api/upsert",
        headers=login("43"),
        json={
            "address_id": None,
            "name": "Lan",
            "phone": "13800138000",
            "country": "CN",
            "region": "CN-SH",
            "city": "Shanghai",
            "street": "Nanjing Lu 1",
            "postcode": "200000",
        },
    )
    address_id = saved.json()["address_id"]
    theirs = await place(cart(("1001", 1), payable_minor=10_000, address_id=address_id))
    assert (theirs.status_code, theirs.json()["code"]) == (422, "address_invalid")
    assert await written(services) == NOTHING
    own = await place(cart(("1001", 1), payable_minor=10_000, address_id=address_id), buyer_id="43")
    assert own.status_code == 201
    assert (await services.pool.fetchval("SELECT address FROM orders"))["street"] == "Nanjing Lu 1"


async def test_a_sku_that_is_paid_before_it_is_reserved_is_only_looked_at(
    place: Any, services: Services
) -> None:
    await put_sku(services.pool, on_hand=1, reserve_on="pay")
    await services.prices.refresh()
    assert (await place(cart(("1001", 1), payable_minor=10_000))).status_code == 201
    assert (await place(cart(("1001", 2), payable_minor=20_000), key="k2")).status_code == 409
    assert (await written(services))["reserved"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"currency": "CNY", "lines": [], "payable_minor": 1},
        cart(("1001", 0), payable_minor=1),
        cart(("1001", 1), payable_minor=-1),
        cart(("1001", 1), payable_minor=10**30),
        cart(("1001", 1), payable_minor=1, surprise=True),
        cart(("1001", 1), payable_minor=1, memo="x" * 201),
        cart(("1001", 1), payable_minor=1, memo="\0"),
        cart(("1001", 1), payable_minor=1, mode="flash"),
        {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 1}]},
    ],
)
async def test_what_is_not_in_the_contract_is_refused(place: Any, services: Services, body: Any) -> None:
    await put_sku(services.pool)
    await services.prices.refresh()
    answer = await place(body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert await written(services) == NOTHING


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"\xff", 400),
        (b"[" * 60_000, 400),
        (b" " * 70_000, 413),
        (b'{"payable_minor": NaN}', 400),
    ],
)
async def test_what_is_no_json_or_too_large_is_refused(
    client: httpx.AsyncClient, login: Login, raw: bytes, status: int
) -> None:
    answer = await client.post(PATH, content=raw, headers={**login(), "idempotency-key": "k"})
    assert answer.status_code == status, answer.text


async def test_who_may_not_call_is_told_so(client: httpx.AsyncClient, login: Login) -> None:
    body = cart(("1001", 1), payable_minor=1)
    assert (await client.post(PATH, json=body)).status_code == 401
    assert (await client.post(PATH, json=body, headers=login("ann", "op"))).status_code == 403
    without_key = await client.post(PATH, json=body, headers=login())
    assert (without_key.status_code, without_key.json()["code"]) == (400, "idempotency_key_missing")


async def test_an_unknown_sku_is_not_found(place: Any, services: Services) -> None:
    answer = await place(cart(("nope", 1), payable_minor=1))
    assert (answer.status_code, answer.json()["sku_ids"]) == (404, ["nope"])


async def test_orders_with_and_without_limits_in_one_batch_are_all_placed_once(
    place: Any, services: Services
) -> None:
    await put_sku(services.pool, on_hand=50)
    await put_flash_sale(services.pool, "noon", "1001", price_minor=5_000, quantity=4, per_buyer_max=1)
    await services.prices.refresh()
    plain = cart(("1001", 1), payable_minor=10_000)
    flash = cart(("1001", 1), payable_minor=5_000, mode="flash", activity_id="noon")
    answers = await asyncio.gather(
        *[
            place(body, buyer_id=str(n), key=body.get("mode", "normal"))
            for n in range(8)
            for body in (plain, flash)
        ]
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 12 + [409] * 4
    rows = await services.pool.fetch("SELECT activity_id, on_hand, reserved FROM stock_pool ORDER BY pool_id")
    assert [tuple(row) for row in rows] == [("0", 50, 8), ("noon", 4, 4)]
    again = await place(plain, buyer_id="3", key="normal")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert (await written(services))["orders"] == 12


async def test_what_was_sold_out_a_moment_ago_is_refused_before_it_is_priced(
    place: Any, services: Services
) -> None:
    await put_sku(services.pool, "1001", price_minor=500, on_hand=1)
    await services.prices.refresh()
    services.placing.sold_out = SoldOut(for_s=60.0)
    refused = await place(cart(("1001", 2), payable_minor=1_000), key="key-1")
    assert (refused.status_code, refused.json()["code"]) == (409, "out_of_stock")
    # Two lines of one SKU are one; that the price is wrong as well is no longer looked at.
    again = await place(cart(("1001", 1), ("1001", 1), payable_minor=999), key="key-2")
    assert (again.status_code, again.json()["code"]) == (409, "out_of_stock")
    assert again.json()["sku_ids"] == ["1001"]
    assert await written(services) == NOTHING
    # Fewer may still be there.
    assert (await place(cart(("1001", 1), payable_minor=500), key="key-3")).status_code == 201
