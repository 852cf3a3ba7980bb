"""Choosing a channel, paying, and what the order becomes; over HTTP against the real provider process."""

import asyncio
from datetime import timedelta

import pytest

from app.lib.clock import OffsetClock
from app.payments.pay import ATTEMPTS_MAX
from app.payments.poll import poll_payments
from tests.paid_orders import Line
from tests.payments.desk import Desk, until


async def test_a_paid_order_goes_to_shipment_with_stock_ledger_and_event(desk: Desk) -> None:
    order = await desk.place(Line("1001", quantity=2))
    payment = await desk.start(order)
    assert (payment["status"], payment["action"]["type"]) == ("PENDING", "redirect")
    assert await desk.stock(order.pool_ids["1001"]) == (10, 2)
    await desk.press(payment)
    await until(desk.is_paid(order))
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
    assert await desk.payment_status(payment) == "CAPTURED"
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)
    assert await desk.stock(order.pool_ids["1001"]) == (8, 0)
    assert await desk.topics(order.order_id) == ["order.paid"]
    rows = await desk.services.pool.fetch("SELECT account, amount_minor FROM ledger_entry ORDER BY account")
    assert [tuple(row) for row in rows] == [("channel:sandbox", 20_000), ("shop:7", -20_000)]


async def test_a_paid_parent_becomes_invalid_and_its_children_go_on(desk: Desk) -> None:
    order, _ = await desk.paid_order(
        Line("1001", shop_id="7"), Line("2001", shop_id="8", unit_price_minor=5_000)
    )
    assert await desk.order_status(order.order_id) == "INVALID"
    assert [await desk.order_status(child) for child in order.child_ids] == ["PENDING_SHIPMENT"] * 2
    assert [await desk.topics(child) for child in order.child_ids] == [["order.paid"]] * 2
    rows = await desk.services.pool.fetch("SELECT account, amount_minor FROM ledger_entry ORDER BY account")
    expected = [("channel:sandbox", 15_000), ("shop:7", -10_000), ("shop:8", -5_000)]
    assert [tuple(row) for row in rows] == expected


async def test_paying_spends_the_orders_coupons(desk: Desk) -> None:
    order = await desk.place()
    await desk.value("INSERT INTO coupon_template (template_id, document, version) VALUES ('t', '{}', 1)")
    await desk.value(
        "INSERT INTO coupon (coupon_id, template_id, buyer_id, status, valid_from, valid_to, order_id)"
        " VALUES (1, 't', '42', 'locked', now(), now(), $1)",
        order.order_id,
    )
    payment = await desk.start(order)
    await desk.press(payment)
    await until(desk.is_paid(order))
    assert await desk.value("SELECT status FROM coupon") == "used"


async def test_one_key_makes_one_attempt_and_one_answer(desk: Desk) -> None:
    order = await desk.place()
    answers = await asyncio.gather(*(desk.pay(order, key="k") for _ in range(4)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    replayed = sorted(answer.headers.get("idempotent-replayed", "") for answer in answers)
    assert replayed == ["", "true", "true", "true"]
    assert await desk.value("SELECT count(*) FROM payment_order") == 1
    await desk.press(answers[0].json())
    await until(desk.is_paid(order))
    again = await desk.pay(order, key="k")
    assert (again.status_code, again.text) == (201, answers[0].text)
    other = await desk.pay(order, key="k", method="wallet")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


async def test_what_cannot_be_paid_is_refused_and_changes_nothing(desk: Desk) -> None:
    order = await desk.place(Line("1001"), Line("2001", shop_id="8"))
    no_key = await desk.client.post(
        f"/shopping/orders/{order.order_id}/payments", json={"channel": "sandbox"}, headers=desk.headers
    )
    assert (no_key.status_code, no_key.json()["code"]) == (400, "idempotency_key_missing")
    unknown = await desk.pay(order, channel="gold")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "channel_unknown")
    url = f"/shopping/orders/{order.child_ids[0]}/payments"
    child = await desk.client.post(
        url, json={"channel": "sandbox"}, headers=desk.headers | {"Idempotency-Key": "child"}
    )
    assert (child.status_code, child.json()["code"]) == (409, "order_not_payable")
    assert child.json()["order_id"] == str(order.order_id)
    nobody = await desk.client.post(
        "/shopping/orders/1/payments",
        json={"channel": "sandbox"},
        headers=desk.headers | {"Idempotency-Key": "n"},
    )
    assert (nobody.status_code, nobody.json()["code"]) == (404, "order_not_found")
    assert await desk.value("SELECT count(*) FROM payment_order") == 0
    assert await desk.value("SELECT count(*) FROM idempotency") == 0


async def test_an_order_has_so_many_attempts_and_no_more(desk: Desk) -> None:
    order = await desk.place()
    for _ in range(ATTEMPTS_MAX):
        await desk.start(order)
    refused = await desk.pay(order)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_attempts")
    assert await desk.value("SELECT count(*) FROM payment_order") == ATTEMPTS_MAX
    assert await desk.value("SELECT count(*) FROM idempotency") == ATTEMPTS_MAX


async def test_an_order_that_is_closed_while_it_is_asked_for_gets_no_attempt(desk: Desk) -> None:
    order = await desk.place()
    async with desk.services.pool.acquire() as closer, closer.transaction():
        await closer.execute("UPDATE orders SET status = 'CANCELED' WHERE order_id = $1", order.order_id)
        asked = asyncio.create_task(desk.pay(order))
        await until(desk.is_blocked)
    refused = await asked
    assert (refused.status_code, refused.json()["code"]) == (409, "order_not_payable")
    assert await desk.value("SELECT count(*) FROM payment_order") == 0
    assert await desk.value("SELECT count(*) FROM idempotency") == 0


async def test_another_buyers_order_is_not_found(desk: Desk, login: object) -> None:
    order = await desk.place()
    desk.headers = login("43")  # type: ignore[operator]
    assert (await desk.pay(order)).status_code == 404
    for path in ("pay_cm", "paid_from_client"):
        method = "GET" if path == "pay_cm" else "POST"
        url = f"/shopping/orders/{order.order_id}/{path}"
        answer = await desk.client.request(method, url, headers=desk.headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
    assert await desk.value("SELECT count(*) FROM payment_order") == 0


@pytest.mark.parametrize(
    "url", ["javascript://x%0aalert(1)", "data://x", "/orders", "https://a b", "https://a\n"]
)
async def test_a_return_address_that_would_run_is_refused(desk: Desk, url: str) -> None:
    order = await desk.place()
    refused = await desk.pay(order, return_url=url)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert (await desk.pay(order, return_url="myshop://orders/1")).status_code == 201
    assert await desk.value("SELECT count(*) FROM payment_order") == 1


async def test_an_order_past_its_deadline_cannot_be_paid(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place()
    clock.advance(timedelta(minutes=16))
    refused = await desk.pay(order)
    assert (refused.status_code, refused.json()["code"]) == (409, "order_not_payable")
    assert await desk.value("SELECT count(*) FROM payment_order") == 0


async def test_pay_cm_names_the_channels_until_the_order_is_paid(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    unpaid = await desk.place(Line("2001"))
    offer = await desk.client.get(f"/shopping/orders/{unpaid.order_id}/pay_cm", headers=desk.headers)
    assert offer.json()["channels"] == [
        {"channel": "sandbox", "methods": ["card", "wallet"], "stored_cards": [], "discounts": []}
    ]
    assert (offer.json()["payable_minor"], offer.json()["currency"]) == (10_000, "CNY")
    paid = await desk.client.get(f"/shopping/orders/{order.order_id}/pay_cm", headers=desk.headers)
    assert (paid.json()["status"], paid.json()["channels"]) == ("PENDING_SHIPMENT", [])


async def test_the_apps_word_is_not_believed_but_has_the_channel_asked(desk: Desk) -> None:
    order = await desk.place()
    await desk.value("INSERT INTO cart_entry (buyer_id, sku_id, quantity) VALUES ('42', '1001', 2)")
    payment = await desk.start(order)
    url = f"/shopping/orders/{order.order_id}/paid_from_client"
    answer = await desk.client.post(url, headers=desk.headers)
    assert (answer.status_code, answer.json()["status"]) == (200, "NOT_PAID")
    assert await desk.value("SELECT count(*) FROM cart_entry") == 0
    assert await poll_payments(desk.services, desk.services.clock.now(), 10) == 1
    assert await desk.order_status(order.order_id) == "NOT_PAID"
    await desk.fault("webhook_never", payment["payment_id"], times=2)
    await desk.press(payment)
    await desk.client.post(url, headers=desk.headers)
    assert await poll_payments(desk.services, desk.services.clock.now(), 10) == 1
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"


async def test_an_order_that_costs_nothing_is_paid_at_once(desk: Desk) -> None:
    order = await desk.place(Line("1001", unit_price_minor=0))
    answer = await desk.start(order)
    assert answer == {"payment_id": None, "status": "CAPTURED", "action": None}
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
    assert await desk.due(order) == ("PAID", 0, 0, 0)
    assert await desk.stock(order.pool_ids["1001"]) == (9, 0)


@pytest.mark.parametrize("fault", ["http_500", "lost_reply"])
async def test_a_channel_that_is_down_is_tried_again_with_the_same_reference(desk: Desk, fault: str) -> None:
    order = await desk.place()
    await desk.fault(fault, call="authorise")
    refused = await desk.pay(order, key="k")
    assert (refused.status_code, refused.json()["code"]) == (503, "channel_unavailable")
    assert refused.headers["retry-after"] == "1"
    assert await desk.value("SELECT status FROM payment_order") == "CREATED"
    again = await desk.pay(order, key="k")
    assert again.status_code == 201
    assert await desk.value("SELECT count(*) FROM payment_order") == 1


async def test_an_attempt_cut_off_by_a_crash_is_taken_up_by_the_sweep(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place()
    await desk.fault("http_500", call="authorise")
    await desk.pay(order, key="k")
    assert await poll_payments(desk.services, clock.now(), 10) == 0
    clock.advance(timedelta(seconds=11))
    assert await poll_payments(desk.services, clock.now(), 10) == 1
    assert await desk.value("SELECT status FROM payment_order") == "PENDING"
    assert (await desk.pay(order, key="k")).json()["action"]["type"] == "redirect"
