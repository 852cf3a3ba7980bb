"""Sending refunds and what comes of them, against the real provider process, with its faults."""

import asyncio
from datetime import timedelta
from typing import Any

from app.bootstrap import Services
from app.jobs import JOBS
from app.lib.clock import OffsetClock
from app.lib.jobs import QUEUE
from app.refunds.send import send_due_refunds, send_refund
from tests.paid_orders import Line
from tests.payments.desk import Desk, until


async def send(services: Services) -> int:
    return await send_due_refunds(services, services.clock.now(), 50)


async def test_a_refund_is_handed_to_the_workers_at_once(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    refund_id = int((await desk.refund(order.order_id)).json()["refund_id"])
    assert await desk.services.redis.zscore(QUEUE, f"send_refund:{refund_id}") is not None
    assert send_refund in JOBS
    await send_refund(desk.services, refund_id)
    await until(desk.are_refunds(order, "SUCCEEDED"))


async def test_a_whole_refund_closes_the_order_and_returns_its_stock(desk: Desk) -> None:
    order, payment = await desk.paid_order(Line("1001", quantity=2))
    assert await desk.stock(order.pool_ids["1001"]) == (8, 0)
    refund = (await desk.refund(order.order_id)).json()
    assert await send(desk.services) == 1
    await until(desk.are_refunds(order, "SUCCEEDED"))
    assert await desk.order_status(order.order_id) == "CLOSED"
    assert await desk.due(order) == ("REFUNDED", 20_000, 0, 20_000)
    assert await desk.stock(order.pool_ids["1001"]) == (10, 0)
    assert await desk.topics(order.order_id) == ["order.paid", "order.closed"]
    assert await desk.topics(int(refund["refund_id"])) == ["refund.succeeded"]
    assert (await desk.at_provider(payment))["refunded_minor"] == 20_000
    sums = "SELECT sum(amount_minor) FROM ledger_entry GROUP BY account"
    assert [row["sum"] for row in await desk.services.pool.fetch(sums)] == [0, 0]


async def test_a_part_refund_returns_its_units_and_the_rest_closes_the_order(desk: Desk) -> None:
    order, payment = await desk.paid_order(Line("1001", quantity=3), Line("1002", quantity=1))
    line = {"line_id": str(order.line_ids["1001"]), "quantity": 1}
    await desk.refund(order.order_id, lines=[line])
    await desk.refund(order.order_id, amount_minor=500)
    assert await send(desk.services) == 2
    await until(desk.are_refunds(order, "SUCCEEDED", "SUCCEEDED"))
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
    assert await desk.due(order) == ("PART_REFUNDED", 40_000, 0, 10_500)
    assert await desk.stock(order.pool_ids["1001"]) == (8, 0)
    assert (await desk.refund(order.order_id)).json()["amount_minor"] == 29_500
    await send(desk.services)
    await until(desk.are_refunds(order, "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"))
    assert await desk.order_status(order.order_id) == "CLOSED"
    assert await desk.due(order) == ("REFUNDED", 40_000, 0, 40_000)
    assert [await desk.stock(order.pool_ids[sku]) for sku in ("1001", "1002")] == [(10, 0), (10, 0)]
    assert (await desk.at_provider(payment))["refunded_minor"] == 40_000


async def test_refunding_one_child_closes_that_child_only(desk: Desk) -> None:
    order, _ = await desk.paid_order(Line("1001"), Line("2001", shop_id="8"))
    first, second = order.child_ids
    await desk.refund(first)
    await send(desk.services)
    await until(desk.are_refunds(order, "SUCCEEDED"))
    assert await desk.order_status(first) == "CLOSED"
    assert await desk.order_status(second) == "PENDING_SHIPMENT"
    assert await desk.due(order) == ("PART_REFUNDED", 20_000, 0, 10_000)
    assert await desk.stock(order.pool_ids["2001"]) == (9, 0)


async def test_after_shipment_a_refund_returns_no_stock(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    await desk.value("UPDATE orders SET status = 'PENDING_RECEIVING'")
    await desk.refund(order.order_id)
    await send(desk.services)
    await until(desk.are_refunds(order, "SUCCEEDED"))
    assert await desk.order_status(order.order_id) == "PENDING_RECEIVING"
    assert await desk.stock(order.pool_ids["1001"]) == (8, 0)


async def test_what_an_ended_activity_sold_comes_back_to_the_normal_pool(desk: Desk) -> None:
    order, _ = await desk.paid_order(Line("1001", quantity=2))
    pool_id = order.pool_ids["1001"]
    await desk.value("UPDATE stock_pool SET activity_id = 'noon', closed = true WHERE pool_id = $1", pool_id)
    normal = await desk.value("INSERT INTO stock_pool (sku_id) VALUES ('1001') RETURNING pool_id")
    await desk.refund(order.order_id)
    await send(desk.services)
    await until(desk.are_refunds(order, "SUCCEEDED"))
    assert await desk.stock(normal) == (2, 0)
    assert await desk.stock(pool_id) == (8, 0)


async def test_a_lost_reply_refunds_once(desk: Desk, clock: OffsetClock) -> None:
    order, payment = await desk.paid_order()
    reference = payment["payment_id"]
    await desk.fault("lost_reply", reference, call="refund")
    await desk.fault("webhook_never", reference, call="succeeded")
    await desk.refund(order.order_id, amount_minor=8_000)
    await send(desk.services)
    assert await desk.refunds(order) == [("buyer", "REQUESTED", 8_000)]
    assert (await desk.at_provider(payment))["refunded_minor"] == 8_000
    assert await send(desk.services) == 0
    clock.advance(timedelta(seconds=11))
    assert await send(desk.services) == 1
    assert await desk.refunds(order) == [("buyer", "SENT", 8_000)]
    assert (await desk.at_provider(payment))["refunded_minor"] == 8_000
    clock.advance(timedelta(seconds=61))
    assert await send(desk.services) == 1
    assert await desk.refunds(order) == [("buyer", "SUCCEEDED", 8_000)]
    assert await desk.due(order) == ("PART_REFUNDED", 20_000, 0, 8_000)
    clock.advance(timedelta(days=1))
    assert await send(desk.services) == 0


async def test_a_channel_that_is_down_is_tried_with_growing_waits(desk: Desk, clock: OffsetClock) -> None:
    order, payment = await desk.paid_order()
    await desk.fault("http_500", payment["payment_id"], call="refund", times=3)
    await desk.refund(order.order_id)
    waits = []
    for _ in range(3):
        assert await send(desk.services) == 1
        waits.append(
            await desk.value("SELECT extract(epoch FROM send_at - $1)::int FROM refund", clock.now())
        )
        clock.advance(timedelta(seconds=waits[-1] + 1))
    assert waits == [10, 20, 40]
    assert await send(desk.services) == 1
    await until(desk.are_refunds(order, "SUCCEEDED"))
    assert await desk.value("SELECT attempt FROM refund") == 1


async def test_a_failed_refund_is_tried_under_a_new_reference(desk: Desk, clock: OffsetClock) -> None:
    order, payment = await desk.paid_order()
    await desk.fault("refund_fails", payment["payment_id"])
    refund_id = (await desk.refund(order.order_id)).json()["refund_id"]
    await send(desk.services)
    await until(desk.are_refunds(order, "FAILED"))
    assert await desk.due(order) == ("PAID", 20_000, 20_000, 0)
    assert await send(desk.services) == 0
    clock.advance(timedelta(seconds=61))
    assert await send(desk.services) == 1
    await until(desk.are_refunds(order, "SUCCEEDED"))
    at_provider = await desk.at_provider(payment)
    references = [(each["reference"], each["status"]) for each in at_provider["refunds"]]
    assert references == [(refund_id, "failed"), (f"{refund_id}-2", "succeeded")]
    assert at_provider["refunded_minor"] == 20_000


async def test_a_refund_that_keeps_failing_is_parked(desk: Desk, clock: OffsetClock) -> None:
    order, payment = await desk.paid_order()
    await desk.fault("refund_fails", payment["payment_id"], times=100)
    await desk.refund(order.order_id)
    for _ in range(20):  # each attempt is sent, and asked about later: webhooks are refused as too old
        await send(desk.services)
        clock.advance(timedelta(hours=3))
    assert await desk.value("SELECT attempt FROM refund WHERE send_at IS NULL") == 8
    assert await desk.due(order) == ("PAID", 20_000, 20_000, 0)
    assert len((await desk.at_provider(payment))["refunds"]) == 8


def outcome(refund_id: str, **change: Any) -> dict[str, Any]:
    told = {"refund_id": refund_id, "status": "succeeded", "amount_minor": 20_000, "currency": "CNY"}
    return told | {"psp_reference": "PSP"} | change


async def test_an_outcome_told_many_times_counts_once(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    refund_id = (await desk.refund(order.order_id)).json()["refund_id"]
    answers = await asyncio.gather(
        *(desk.tell(outcome(refund_id), event_type="refund_notified") for _ in range(5))
    )
    assert [answer.json()["status"] for answer in answers] == ["APPLIED"] * 5
    assert await desk.due(order) == ("REFUNDED", 20_000, 0, 20_000)
    assert await desk.stock(order.pool_ids["1001"]) == (10, 0)
    failed = await desk.tell(outcome(refund_id, status="failed"), event_type="refund_notified")
    assert failed.json()["status"] == "REJECTED"
    assert await desk.refunds(order) == [("buyer", "SUCCEEDED", 20_000)]
    assert await send(desk.services) == 0


async def test_a_success_told_after_a_failure_of_the_same_reference_counts_and_nothing_is_sent_again(
    desk: Desk, clock: OffsetClock
) -> None:
    order, payment = await desk.paid_order()
    refund_id = (await desk.refund(order.order_id)).json()["refund_id"]
    for status in ("failed", "succeeded", "succeeded"):
        told = await desk.tell(outcome(refund_id, status=status), event_type="refund_notified")
        assert told.json()["status"] == "APPLIED"
    assert await desk.refunds(order) == [("buyer", "SUCCEEDED", 20_000)]
    assert await desk.due(order) == ("REFUNDED", 20_000, 0, 20_000)
    clock.advance(timedelta(hours=1))
    assert await send(desk.services) == 0
    assert (await desk.at_provider(payment))["refunds"] == []


async def test_an_outcome_that_does_not_fit_is_rejected(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    refund_id = (await desk.refund(order.order_id)).json()["refund_id"]
    for change in ({"amount_minor": 19_999}, {"currency": "USD"}, {"refund_id": f"{refund_id}-2"}):
        told = await desk.tell(outcome(refund_id) | change, event_type="refund_notified")
        assert (told.status_code, told.json()["status"]) == (200, "REJECTED")
    early = await desk.tell(outcome("77"), event_type="refund_notified")
    assert early.json()["status"] == "WAITING"
    assert await desk.refunds(order) == [("buyer", "REQUESTED", 20_000)]
    assert await desk.due(order) == ("PAID", 20_000, 20_000, 0)


async def test_two_senders_send_each_refund_once(desk: Desk) -> None:
    order, payment = await desk.paid_order()
    for _ in range(4):
        await desk.refund(order.order_id, amount_minor=5_000)
    taken = await asyncio.gather(*(send(desk.services) for _ in range(3)))
    assert sum(taken) == 4
    await until(desk.are_refunds(order, *["SUCCEEDED"] * 4))
    at_provider = await desk.at_provider(payment)
    assert (len(at_provider["refunds"]), at_provider["refunded_minor"]) == (4, 20_000)
