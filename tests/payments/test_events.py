"""Events about payments: signed, stored once, harmless when late, twice or out of order."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.events_in.apply import apply_waiting_events
from app.events_in.signature import sign
from app.lib.clock import OffsetClock
from app.payments.poll import poll_payments
from app.refunds.send import send_due_refunds
from app.settings import Settings
from tests.paid_orders import Line
from tests.payments.desk import Desk, until


async def events(desk: Desk) -> list[tuple[str, str]]:
    rows = await desk.services.pool.fetch("SELECT type, status FROM inbound_event ORDER BY received_at")
    return [(row["type"], row["status"]) for row in rows]


async def test_authorized_makes_the_order_wait_longer_and_captured_pays_it(
    desk: Desk, settings: Settings
) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    taken = await desk.tell(desk.report(payment, "authorized"))
    assert (taken.status_code, taken.json()["status"]) == (200, "APPLIED")
    assert await desk.order_status(order.order_id) == "NOT_PAID"
    assert await desk.due(order) == ("AUTHORIZED", 0, 0, 0)
    wait = await desk.value("SELECT pay_deadline - created_at FROM orders")
    assert wait > timedelta(seconds=settings.pay_timeout_authorized_s - 1)
    await desk.tell(desk.report(payment, "captured"))
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)


async def test_captured_before_authorized_pays_once(desk: Desk) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.fault("webhook_late", payment["payment_id"], call="authorized", delay_ms=100)
    await desk.press(payment)

    async def both_came() -> bool:
        return [status for _, status in await events(desk)] == ["APPLIED", "APPLIED"]

    await until(both_came)
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)
    assert await desk.payment_status(payment) == "CAPTURED"
    assert await desk.topics(order.order_id) == ["order.paid"]


async def test_failed_then_paid_is_paid_and_a_late_failed_changes_nothing(desk: Desk) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.press(payment, "decline")
    await until(desk.is_payment(payment, "FAILED"))
    assert await desk.value("SELECT failure_reason FROM payment_order") == "The bank declined the payment"
    assert await desk.order_status(order.order_id) == "NOT_PAID"
    await desk.press(payment, "pay")
    await until(desk.is_paid(order))
    late = {"payment_id": payment["payment_id"], "channel": "sandbox", "reason": "late"}
    assert (await desk.tell(late, event_type="payment_failed_cm")).json()["status"] == "APPLIED"
    assert await desk.payment_status(payment) == "CAPTURED"
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)


async def test_one_event_told_many_times_together_has_one_effect(desk: Desk) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    report = desk.report(payment, "captured")
    same = await asyncio.gather(*(desk.tell(report, event_id="e1") for _ in range(5)))
    others = await asyncio.gather(*(desk.tell(report) for _ in range(5)))
    assert {answer.status_code for answer in (*same, *others)} == {200}
    assert {status for _, status in await events(desk)} == {"APPLIED"}
    assert await desk.value("SELECT count(*) FROM inbound_event WHERE event_id = 'e1'") == 1
    assert await desk.topics(order.order_id) == ["order.paid"]
    assert await desk.value("SELECT count(*) FROM ledger_entry") == 2
    assert await desk.stock(order.pool_ids["1001"]) == (8, 0)
    assert await desk.refunds(order) == []


async def test_paid_twice_through_two_attempts_gives_the_second_back(desk: Desk) -> None:
    order = await desk.place()
    first, second = await desk.start(order), await desk.start(order)
    await desk.press(first)
    await until(desk.is_paid(order))
    await desk.press(second)
    await until(desk.is_payment(second, "CAPTURED"))
    assert await desk.refunds(order) == [("double_payment", "REQUESTED", 20_000)]
    await send_due_refunds(desk.services, desk.services.clock.now(), 10)
    await until(desk.are_refunds(order, "SUCCEEDED"))
    assert (await desk.at_provider(second))["refunded_minor"] == 20_000
    assert (await desk.at_provider(first))["refunded_minor"] == 0
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)
    assert await desk.value("SELECT sum(amount_minor) FROM ledger_entry WHERE account = 'unallocated'") == 0


async def test_two_attempts_paid_at_the_same_moment_count_once(desk: Desk) -> None:
    order = await desk.place()
    attempts = [await desk.start(order) for _ in range(3)]
    await asyncio.gather(*(desk.tell(desk.report(each, "captured")) for each in attempts))
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)
    assert await desk.refunds(order) == [("double_payment", "REQUESTED", 20_000)] * 2
    assert await desk.stock(order.pool_ids["1001"]) == (8, 0)


async def test_money_that_comes_after_the_close_goes_back(desk: Desk) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await close(desk, order.order_id)
    await desk.press(payment)
    await until(desk.is_payment(payment, "CAPTURED"))
    assert await desk.order_status(order.order_id) == "CANCELED"
    assert await desk.refunds(order) == [("late_payment", "REQUESTED", 20_000)]
    await send_due_refunds(desk.services, desk.services.clock.now(), 10)
    await until(desk.are_refunds(order, "SUCCEEDED"))
    assert (await desk.at_provider(payment))["refunded_minor"] == 20_000
    assert await desk.due(order) == ("CLOSED", 0, 0, 0)
    assert await desk.topics(order.order_id) == []


async def close(desk: Desk, order_id: int) -> None:
    await desk.value("UPDATE orders SET status = 'CANCELED' WHERE order_id = $1", order_id)
    await desk.value("UPDATE pay_order SET status = 'CLOSED' WHERE order_id = $1", order_id)


@pytest.mark.parametrize(
    "change",
    [{"amount_minor": 19_999}, {"amount_minor": 20_001}, {"currency": "USD"}, {"channel": "another"}],
)
async def test_a_report_that_does_not_fit_is_stored_and_seen_but_not_applied(
    desk: Desk, change: dict[str, Any]
) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    taken = await desk.tell(desk.report(payment, "captured", **change))
    assert (taken.status_code, taken.json()["status"]) == (200, "REJECTED")
    assert await events(desk) == [("payment_notified_cm", "REJECTED")]
    assert await desk.order_status(order.order_id) == "NOT_PAID"
    assert await desk.payment_status(payment) == "PENDING"
    assert await desk.due(order) == ("UNPAID", 0, 0, 0)
    metrics = (await desk.client.get("/metrics")).text
    assert 'rushcart_inbound_events_total{status="REJECTED",type="payment_notified_cm"}' in metrics


async def test_an_event_for_a_payment_not_visible_yet_waits_for_it(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place()
    payment_id = desk.services.ids.next()
    early = await desk.tell(desk.report({"payment_id": str(payment_id)}, "captured"))
    assert (early.status_code, early.json()["status"]) == (200, "WAITING")
    await desk.value(
        "INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, currency, amount_minor,"
        " created_at, updated_at) VALUES ($1, $2, '42', 'sandbox', 'card', 'CNY', 20000, now(), now())",
        payment_id,
        order.order_id,
    )
    clock.advance(timedelta(seconds=1))
    assert await apply_waiting_events(desk.services, clock.now(), 10) == 1
    assert await events(desk) == [("payment_notified_cm", "APPLIED")]
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
    assert await apply_waiting_events(desk.services, clock.now(), 10) == 0


async def test_an_event_for_nothing_is_parked_after_a_day(desk: Desk, clock: OffsetClock) -> None:
    await desk.tell(desk.report({"payment_id": "77"}, "captured"))
    clock.advance(timedelta(days=1, seconds=1))
    assert await apply_waiting_events(desk.services, clock.now(), 10) == 1
    assert await events(desk) == [("payment_notified_cm", "REJECTED")]


async def test_an_authorization_that_is_not_needed_is_given_up(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place()
    first, second = await desk.start(order), await desk.start(order)
    await desk.press(second, "authorise")
    await until(desk.is_payment(second, "AUTHORIZED"))
    await desk.press(first)
    await until(desk.is_paid(order))
    clock.advance(timedelta(seconds=1))
    await poll_payments(desk.services, clock.now(), 10)
    assert await desk.payment_status(second) == "CANCELED"
    assert (await desk.at_provider(second))["status"] == "canceled"
    assert await desk.refunds(order) == []
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)


async def test_goods_gone_when_reserved_on_payment_give_the_money_back(
    desk: Desk, clock: OffsetClock
) -> None:
    line = Line("1001", quantity=2, reserve_on="pay", on_hand=3)
    lucky, late = await desk.place(line), await desk.place(line)
    for order in (lucky, late):
        payment = await desk.start(order)
        await desk.tell(desk.report(payment, "captured"))
    assert await desk.order_status(lucky.order_id) == "PENDING_SHIPMENT"
    assert await desk.order_status(late.order_id) == "NOT_PAID"
    assert (
        await desk.value("SELECT pay_deadline FROM orders WHERE order_id = $1", late.order_id) <= clock.now()
    )
    assert await desk.refunds(late) == [("late_payment", "REQUESTED", 20_000)]
    assert await desk.stock(late.pool_ids["1001"]) == (1, 0)


async def test_unsigned_and_wrongly_signed_events_are_refused(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    report = desk.report(payment, "captured")
    assert (await desk.tell(report, secret="a-guess")).status_code == 401
    body = b'{"event_id": "x"}'
    now_s = int(clock.now().timestamp())
    for header in (
        None,
        "",
        "t=1,v1=",
        sign("test-event-secret", body, now_s - 301),
        sign("test-event-secret", body, now_s + 301),
        sign("test-event-secret", body + b" ", now_s),
        "t=" + "9" * 5000 + ",v1=00",
    ):
        headers = {"Content-Type": "application/json"} | ({} if header is None else {"X-Signature": header})
        refused = await desk.client.post("/event/payment_notified_cm", content=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "signature_invalid")
    assert await events(desk) == []
    assert await desk.order_status(order.order_id) == "NOT_PAID"


async def test_the_next_secret_holds_too(desk: Desk) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.tell(desk.report(payment, "captured"), secret="the-next-secret")
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"


async def test_types_that_nobody_reads_are_stored(desk: Desk) -> None:
    first = await desk.tell({"anything": [1, {"deep": None}]}, event_type="purchased", event_id="p1")
    assert (first.status_code, first.json()) == (202, {"event_id": "p1", "status": "UNKNOWN"})
    again = await desk.tell({}, event_type="purchased", event_id="p1")
    assert again.status_code == 200
    assert await desk.value("SELECT body->'data' FROM inbound_event") == {"anything": [1, {"deep": None}]}


@pytest.mark.parametrize(
    "change",
    [
        {"payment_id": None},
        {"payment_id": "9999999999999999999"},
        {"status": "maybe"},
        {"amount_minor": 1.5},
        {"amount_minor": 10**30},
        {"currency": "yuan"},
    ],
)
async def test_malformed_data_is_refused_and_not_stored(desk: Desk, change: dict[str, Any]) -> None:
    refused = await desk.tell(desk.report({"payment_id": "1"}, "captured") | change)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert await events(desk) == []
