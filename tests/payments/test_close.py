"""Orders whose time is over while something is open at a channel."""

from datetime import timedelta

from app.lib.clock import OffsetClock
from app.orders.close import close_due, close_due_with_attempts
from tests.auditing import assert_audit_clean
from tests.paid_orders import Line
from tests.payments.desk import Desk, until

AN_HOUR = timedelta(hours=1)


async def test_an_open_attempt_is_given_up_and_the_order_closes(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place(Line("1001", quantity=2))
    payment = await desk.start(order)
    clock.advance(AN_HOUR)
    assert await close_due(desk.services, clock.now(), 10) == 0  # its channel is asked first
    assert await close_due_with_attempts(desk.services, clock.now(), 10) == 1
    assert await desk.order_status(order.order_id) == "CANCELED"
    assert (await desk.at_provider(payment))["status"] == "canceled"
    assert await desk.stock(order.pool_ids["1001"]) == (10, 0)
    await assert_audit_clean(desk.services)


async def test_an_order_that_was_paid_without_our_hearing_of_it_goes_on(
    desk: Desk, clock: OffsetClock
) -> None:
    order = await desk.place(Line("1001", quantity=2))
    payment = await desk.start(order)
    await desk.fault("webhook_never", payment["payment_id"], times=2)
    await desk.press(payment)
    clock.advance(AN_HOUR)
    assert await close_due_with_attempts(desk.services, clock.now(), 10) == 0
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
    assert await desk.stock(order.pool_ids["1001"]) == (8, 0)
    await assert_audit_clean(desk.services)


async def test_an_authorized_payment_keeps_the_order_open(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place(Line("1001", quantity=2))
    payment = await desk.start(order)
    await desk.fault("webhook_never", payment["payment_id"])
    await desk.press(payment, "authorise")
    clock.advance(AN_HOUR)
    assert await close_due_with_attempts(desk.services, clock.now(), 10) == 0
    assert await desk.order_status(order.order_id) == "NOT_PAID"
    assert await desk.stock(order.pool_ids["1001"]) == (10, 2)
    await assert_audit_clean(desk.services)


async def test_a_channel_that_hangs_keeps_no_order_open_and_late_money_goes_back(
    desk: Desk, clock: OffsetClock
) -> None:
    order = await desk.place(Line("1001", quantity=2))
    payment = await desk.start(order)
    await desk.fault("lost_reply", payment["payment_id"], call="status", delay_ms=60_000)
    clock.advance(AN_HOUR)
    assert await close_due_with_attempts(desk.services, clock.now(), 10) == 1
    assert await desk.stock(order.pool_ids["1001"]) == (10, 0)

    assert (await desk.tell(desk.report(payment, "captured"))).status_code == 200
    await until(desk.is_payment(payment, "CAPTURED"))
    assert await desk.order_status(order.order_id) == "CANCELED"
    assert await desk.refunds(order) == [("late_payment", "REQUESTED", 20_000)]
    await assert_audit_clean(desk.services)
