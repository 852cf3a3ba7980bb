"""A seller changes an unpaid order's price: lines, order, parent and what is due together, and on record."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.payments.poll import poll_payments
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.paid_orders import Line, Order
from tests.payments.desk import Desk, until

Change = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def merchant(login: Login) -> dict[str, str]:
    return login("lan", "merchant", "7")


@pytest.fixture
def change(desk: Desk, merchant: dict[str, str]) -> Change:
    async def call(
        order_id: int, *, headers: dict[str, str] = merchant, key: str | None = None, **body: Any
    ) -> httpx.Response:
        return await desk.client.post(
            f"/admin/orders/{order_id}/price_change",
            json={"reason": "as agreed"} | body,
            headers=headers | {"Idempotency-Key": key or uuid4().hex},
        )

    return call


async def amounts(desk: Desk, order: Order) -> dict[int, tuple[int, int]]:
    """Per order (price change, payable); under 0 what is due."""
    rows = await desk.services.pool.fetch("SELECT order_id, price_change_minor, payable_minor FROM orders")
    due = await desk.value("SELECT amount_minor FROM pay_order WHERE order_id = $1", order.order_id)
    return {0: (0, due)} | {row["order_id"]: (row[1], row[2]) for row in rows}


async def assert_unchanged(desk: Desk, order: Order) -> None:
    assert {pair[0] for pair in (await amounts(desk, order)).values()} == {0}
    assert await desk.value("SELECT count(*) FROM price_change") == 0
    assert await desk.value("SELECT count(*) FROM idempotency WHERE call = 'price_change'") == 0
    assert await desk.value("SELECT count(*) FROM outbox") == 0


async def sound(desk: Desk) -> None:
    await assert_audit_clean(desk.services, except_for={"waiting_outbox"})


async def test_an_amount_off_the_whole_is_split_over_the_lines_and_paid_from_then_on(
    desk: Desk, change: Change, merchant: dict[str, str]
) -> None:
    order = await desk.place(Line("a", unit_price_minor=10_000), Line("b", unit_price_minor=5_000))

    changed = await change(order.order_id, amount_minor=3_000)

    assert changed.status_code == 200, changed.text
    body = changed.json()
    assert (body["status"], body["price_change_minor"], body["payable_minor"]) == ("NOT_PAID", 3_000, 12_000)
    assert [(line["price_change_minor"], line["payable_minor"]) for line in body["lines"]] == [
        (2_000, 8_000),
        (1_000, 4_000),
    ]
    assert await amounts(desk, order) == {0: (0, 12_000), order.order_id: (3_000, 12_000)}
    payment = await desk.start(order)
    assert (await desk.at_provider(payment))["amount_minor"] == 12_000
    await desk.press(payment)
    await until(desk.is_paid(order))
    assert await desk.topics(order.order_id) == ["order.price_changed", "order.paid"]
    await sound(desk)

    detail = (await desk.client.get(f"/admin/orders/{order.order_id}", headers=merchant)).json()
    assert (detail["price_change_minor"], detail["payable_minor"]) == (3_000, 12_000)
    line = detail["shops"][0]["lines"][0]
    off = {"kind": "price_change", "rule_id": "price_change", "name": "Price change by the shop"}
    assert (line["discount_minor"], line["discounts"]) == (2_000, [{**off, "amount_minor": 2_000}])
    assert detail["applied"] == [{**off, "amount_minor": 3_000}]
    (recorded,) = detail["price_changes"]
    assert recorded | {"change_id": "", "created_at": ""} == {
        "change_id": "",
        "order_id": str(order.order_id),
        "before_minor": 0,
        "after_minor": 3_000,
        "payable_before_minor": 15_000,
        "reason": "as agreed",
        "changed_by": "lan",
        "created_at": "",
    }
    seen = await desk.client.get(f"/shopping/orders/{order.order_id}", headers=desk.headers)
    assert seen.json()["price_changes"][0]["changed_by"] is None


async def test_refunds_come_from_the_changed_amounts(desk: Desk, change: Change) -> None:
    order = await desk.place(Line("a", unit_price_minor=10_000), Line("b", unit_price_minor=5_000))
    await change(order.order_id, lines=[{"line_id": str(order.line_ids["a"]), "amount_minor": 9_000}])
    await desk.press(await desk.start(order))
    await until(desk.is_paid(order))
    line = {"line_id": str(order.line_ids["a"]), "quantity": 1, "amount_minor": None}
    assert (await desk.refund(order.order_id, lines=[line])).json()["amount_minor"] == 1_000
    assert (await desk.refund(order.order_id)).json()["amount_minor"] == 5_000
    await sound(desk)


async def test_points_are_earned_for_what_is_paid_in_the_end(
    desk: Desk, change: Change, login: Login
) -> None:
    rules = {"currencies": {"CNY": {"earn_bp": 100, "minor_per_point": 1}}}
    await desk.client.put("/admin/points_rules", json=rules, headers=login("ann", "op"))
    order = await desk.place()
    await change(order.order_id, amount_minor=5_000)
    assert await desk.value("SELECT points_earned FROM orders") == 150
    await change(order.order_id)
    assert await desk.value("SELECT points_earned FROM orders") == 200


async def test_no_points_are_earned_for_freight_and_tax_whatever_is_taken_off(
    desk: Desk, change: Change, login: Login
) -> None:
    """100.00 of goods, 8.00 of freight, 6.00 of tax: what the seller gives up counts against those first."""
    rules = {"currencies": {"CNY": {"earn_bp": 100, "minor_per_point": 1}}}
    await desk.client.put("/admin/points_rules", json=rules, headers=login("ann", "op"))
    order = await desk.place(Line("a", unit_price_minor=10_000))
    for table in ("orders", "order_line"):
        await desk.services.pool.execute(
            f"UPDATE {table} SET freight_minor = 800, tax_minor = 600, payable_minor = payable_minor + 1400"
        )
    await desk.services.pool.execute("UPDATE pay_order SET amount_minor = amount_minor + 1400")
    earned = []
    for off in ({"amount_minor": 1}, {"amount_minor": 2_400}, {"freight_minor": 800}, {}):
        assert (await change(order.order_id, **off)).status_code == 200
        earned.append(await desk.value("SELECT points_earned FROM orders"))
    assert earned == [100, 90, 100, 100]


async def test_freight_can_be_lowered_too(desk: Desk, change: Change) -> None:
    order = await desk.place(Line("a", unit_price_minor=10_000))
    for table in ("orders", "order_line"):
        await desk.services.pool.execute(
            f"UPDATE {table} SET freight_minor = 800, payable_minor = payable_minor + 800"
        )
    await desk.services.pool.execute("UPDATE pay_order SET amount_minor = amount_minor + 800")
    assert (await change(order.order_id, freight_minor=801)).status_code == 422
    assert (await change(order.order_id, freight_minor=500)).json()["payable_minor"] == 10_300
    assert await amounts(desk, order) == {0: (0, 10_300), order.order_id: (500, 10_300)}
    await sound(desk)


async def test_of_freight_only_what_no_gift_card_has_paid_can_be_lowered(desk: Desk, change: Change) -> None:
    """100.00 and 8.00 of freight, of which a card has paid 105.00."""
    order = await desk.place(Line("a", unit_price_minor=10_000))
    for table in ("orders", "order_line"):
        await desk.services.pool.execute(
            f"UPDATE {table} SET freight_minor = 800, gift_card_minor = 10500, payable_minor = 300"
        )
    await desk.services.pool.execute("UPDATE pay_order SET amount_minor = 300")
    for refused in ({"freight_minor": 301}, {"amount_minor": 1}):
        assert (await change(order.order_id, **refused)).status_code == 422
    assert (await change(order.order_id, freight_minor=200)).json()["payable_minor"] == 100
    assert await amounts(desk, order) == {0: (0, 100), order.order_id: (200, 100)}


async def test_a_later_change_takes_the_earlier_ones_place_and_nothing_takes_it_back(
    desk: Desk, change: Change
) -> None:
    order = await desk.place(Line("a", unit_price_minor=10_000))
    for amount_minor, payable_minor in ((3_000, 7_000), (1_000, 9_000), (0, 10_000)):
        changed = await change(order.order_id, amount_minor=amount_minor)
        assert changed.json()["payable_minor"] == payable_minor
        assert await amounts(desk, order) == {
            0: (0, payable_minor),
            order.order_id: (amount_minor, payable_minor),
        }
    again = await change(order.order_id)
    assert again.json()["change_id"] is None
    records = await desk.services.pool.fetch(
        "SELECT before_minor, after_minor, payable_before_minor FROM price_change ORDER BY change_id"
    )
    assert [tuple(row) for row in records] == [(0, 3_000, 10_000), (3_000, 1_000, 7_000), (1_000, 0, 9_000)]
    await sound(desk)


async def test_one_shops_part_of_a_split_order_changes_the_parent_and_what_is_due(
    desk: Desk, change: Change, login: Login
) -> None:
    order = await desk.place(Line("a"), Line("b", shop_id="8"))
    ours, theirs = order.child_ids
    for refused, status, code in (
        (await change(theirs, amount_minor=1), 404, "order_not_found"),
        (await change(order.order_id, amount_minor=1), 404, "order_not_found"),
        (await change(order.order_id, amount_minor=1, headers=login("ann", "op")), 409, "several_shops"),
        (await change(ours, amount_minor=1, headers=desk.headers), 403, "forbidden"),
        (await change(ours, amount_minor=10_001), 422, "price_change_too_high"),
        (
            await change(ours, lines=[{"line_id": str(order.line_ids["b"]), "amount_minor": 1}]),
            422,
            "price_change_mismatch",
        ),
    ):
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    await assert_unchanged(desk, order)

    assert (await change(ours, amount_minor=4_000)).json()["payable_minor"] == 6_000
    assert await amounts(desk, order) == {
        0: (0, 16_000),
        order.order_id: (4_000, 16_000),
        ours: (4_000, 6_000),
        theirs: (0, 10_000),
    }
    told = await desk.services.pool.fetch(
        "SELECT aggregate_id, topic, payload FROM outbox ORDER BY aggregate_id"
    )
    assert [(row["aggregate_id"], row["payload"]["payable_minor"]) for row in told] == sorted(
        [(order.order_id, 16_000), (ours, 6_000)]
    )
    await desk.press(await desk.start(order))
    await until(desk.is_paid(order))
    shares = "SELECT amount_minor FROM ledger_entry WHERE account = $1"
    assert (await desk.value(shares, "shop:7"), await desk.value(shares, "shop:8")) == (-6_000, -10_000)
    await sound(desk)


async def test_the_same_key_changes_once(desk: Desk, change: Change) -> None:
    order = await desk.place()
    answers = await asyncio.gather(*(change(order.order_id, key="k", amount_minor=5) for _ in range(4)))
    assert {answer.content for answer in answers} == {answers[0].content}
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 3
    other = await change(order.order_id, key="k", amount_minor=6)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await desk.value("SELECT count(*) FROM price_change") == 1


async def test_an_order_that_comes_to_zero_is_paid_at_once(desk: Desk, change: Change) -> None:
    order = await desk.place(Line("a", quantity=2, on_hand=5))
    changed = await change(order.order_id, amount_minor=20_000)
    assert (changed.json()["status"], changed.json()["payable_minor"]) == ("PENDING_SHIPMENT", 0)
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
    assert await desk.due(order) == ("PAID", 0, 0, 0)
    assert await desk.stock(order.pool_ids["a"]) == (3, 0)
    assert await desk.topics(order.order_id) == ["order.price_changed", "order.paid"]
    refused = await change(order.order_id, amount_minor=1)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_not_changeable")
    await sound(desk)


async def test_goods_that_are_gone_keep_an_order_from_being_given_away(desk: Desk, change: Change) -> None:
    order = await desk.place(Line("a", quantity=2, on_hand=1, reserve_on="pay"))
    refused = await change(order.order_id, amount_minor=20_000)
    assert (refused.status_code, refused.json()["code"]) == (409, "out_of_stock")
    await assert_unchanged(desk, order)
    await sound(desk)


async def test_an_attempt_at_the_old_price_is_called_back_first(desk: Desk, change: Change) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    assert (await change(order.order_id, amount_minor=500)).status_code == 200
    assert await desk.payment_status(payment) == "CANCELED"
    assert (await desk.at_provider(payment))["status"] == "canceled"
    again = await desk.start(order)
    assert (await desk.at_provider(again))["amount_minor"] == 19_500


async def test_an_attempt_that_was_paid_unheard_keeps_its_price(desk: Desk, change: Change) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.fault("webhook_never", payment["payment_id"], times=2)
    await desk.press(payment)
    refused = await change(order.order_id, amount_minor=500)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_not_changeable")
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)
    await sound(desk)


async def test_an_authorized_payment_keeps_its_price(desk: Desk, change: Change) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.tell(desk.report(payment, "authorized"))
    refused = await change(order.order_id, amount_minor=500)
    assert (refused.status_code, refused.json()["code"]) == (409, "payment_in_progress")
    assert await desk.payment_status(payment) == "AUTHORIZED"
    await assert_unchanged_but_told(desk, order)


async def assert_unchanged_but_told(desk: Desk, order: Order) -> None:
    assert (await amounts(desk, order))[0] == (0, 20_000)
    assert await desk.value("SELECT count(*) FROM price_change") == 0


async def test_a_channel_that_does_not_answer_keeps_the_price(desk: Desk, change: Change) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.fault("http_500", payment["payment_id"], call="status", times=3)
    refused = await change(order.order_id, amount_minor=500)
    assert (refused.status_code, refused.json()["code"]) == (409, "payment_in_progress")
    await assert_unchanged_but_told(desk, order)


async def test_money_at_the_old_price_that_comes_all_the_same_goes_back(desk: Desk, change: Change) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    assert (await change(order.order_id, amount_minor=500)).status_code == 200
    told = await desk.tell(desk.report(payment, "captured"))
    assert told.json()["status"] == "APPLIED"
    assert await desk.refunds(order) == [("wrong_amount", "REQUESTED", 20_000)]
    assert (await desk.order_status(order.order_id), (await desk.due(order))[0]) == ("NOT_PAID", "UNPAID")
    await sound(desk)
    await desk.press(await desk.start(order))
    await until(desk.is_paid(order))
    assert await desk.due(order) == ("PAID", 19_500, 0, 0)
    await sound(desk)


async def test_an_authorization_at_the_old_price_is_given_up(desk: Desk, change: Change) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    assert (await change(order.order_id, amount_minor=500)).status_code == 200
    await desk.services.pool.execute("UPDATE payment_order SET status = 'PENDING', poll_at = now()")
    await desk.tell(desk.report(payment, "authorized"))
    assert await desk.due(order) == ("UNPAID", 0, 0, 0)
    await poll_payments(desk.services, desk.services.clock.now(), 10)
    assert await desk.payment_status(payment) == "CANCELED"


async def test_prices_that_change_while_buyers_pay_and_cancel_cost_nobody_anything(
    desk: Desk, change: Change
) -> None:
    orders = [await desk.place(Line("1001", quantity=2, on_hand=20)) for _ in range(9)]

    async def pay(order: Order) -> None:
        response = await desk.pay(order)
        if response.status_code == 201:
            await desk.press(response.json())

    async def cancel(order: Order) -> None:
        await desk.client.post(f"/shopping/orders/{order.order_id}/cancel", headers=desk.headers)

    changes = [change(order.order_id, amount_minor=500) for order in orders]
    others = [pay(order) for order in orders[:6]] + [cancel(order) for order in orders[6:]]
    answers = (await asyncio.gather(*changes, *others))[: len(orders)]

    assert all(answer.status_code in (200, 409) for answer in answers if answer is not None)
    assert await desk.value("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == 0
    await sound(desk)
