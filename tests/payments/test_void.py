"""Attempts before and after an order closes, and manual capture."""

from datetime import timedelta

import pytest

from app.lib.clock import OffsetClock
from app.orders.close import close_due_with_attempts
from app.payments.poll import poll_payments, void_open_payments
from app.settings import Settings
from tests.paid_orders import Line
from tests.payments.desk import Desk, until
from tests.sandbox.process import free_port


async def test_an_attempt_nobody_paid_is_given_up(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    clock.advance(timedelta(minutes=15))
    assert await void_open_payments(desk.services, [order.order_id], 5.0) == set()
    assert await desk.payment_status(payment) == "CANCELED"
    assert (await desk.at_provider(payment))["status"] == "canceled"
    await desk.press(payment)
    assert (await desk.at_provider(payment))["captured_minor"] == 0


async def test_canceling_an_order_gives_its_attempts_up_at_once(desk: Desk, clock: OffsetClock) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    url = f"/shopping/orders/{order.order_id}/cancel"
    assert (await desk.client.post(url, headers=desk.headers)).status_code == 200
    assert await poll_payments(desk.services, clock.now(), 10) == 1
    assert (await desk.at_provider(payment))["status"] == "canceled"
    assert await desk.payment_status(payment) == "CANCELED"


async def test_an_attempt_paid_without_our_hearing_of_it_pays_the_order(desk: Desk) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.fault("webhook_never", payment["payment_id"], times=2)
    await desk.press(payment)
    assert await void_open_payments(desk.services, [order.order_id], 5.0) == {order.order_id}
    assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"


async def test_an_authorized_attempt_moves_the_deadline_on(
    desk: Desk, clock: OffsetClock, settings: Settings
) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.fault("webhook_never", payment["payment_id"])
    await desk.press(payment, "authorise")
    clock.advance(timedelta(minutes=15))
    assert await void_open_payments(desk.services, [order.order_id], 5.0) == {order.order_id}
    assert await desk.due(order) == ("AUTHORIZED", 0, 0, 0)
    deadline = await desk.value("SELECT pay_deadline FROM orders")
    assert deadline - clock.now() > timedelta(seconds=settings.pay_timeout_authorized_s - 60)
    clock.advance(timedelta(seconds=settings.pay_timeout_authorized_s))
    await void_open_payments(desk.services, [order.order_id], 5.0)
    assert await desk.due(order) == ("UNPAID", 0, 0, 0)
    assert (await desk.at_provider(payment))["status"] == "canceled"


async def test_a_channel_that_hangs_holds_nothing_up_and_is_asked_again(
    desk: Desk, clock: OffsetClock
) -> None:
    order = await desk.place()
    payment = await desk.start(order)
    await desk.fault("lost_reply", payment["payment_id"], call="status", delay_ms=60_000)
    clock.advance(timedelta(minutes=15))
    assert await void_open_payments(desk.services, [order.order_id], 0.2) == set()
    await desk.value("UPDATE orders SET status = 'CANCELED'")
    await desk.value("UPDATE pay_order SET status = 'CLOSED'")
    clock.advance(timedelta(seconds=11))
    assert await poll_payments(desk.services, clock.now(), 10) == 1
    assert (await desk.at_provider(payment))["status"] == "canceled"


class TestManualCapture:
    """With a channel set to manual capture an authorization is as good as money for the order."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        port = free_port()
        changed = {"sandbox_manual_capture": True, "port": port, "public_url": f"http://127.0.0.1:{port}"}
        return Settings(**({name: getattr(settings, name) for name in settings.__struct_fields__} | changed))

    async def test_authorized_accepts_the_order_and_we_capture_it(
        self, desk: Desk, clock: OffsetClock
    ) -> None:
        order = await desk.place()
        payment = await desk.start(order)
        await desk.press(payment)
        await until(desk.is_payment(payment, "AUTHORIZED"))
        assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
        assert await desk.due(order) == ("AUTHORIZED", 0, 0, 0)
        assert await desk.stock(order.pool_ids["1001"]) == (8, 0)
        refused = await desk.refund(order.order_id)
        assert (refused.status_code, refused.json()["code"]) == (409, "order_not_refundable")
        clock.advance(timedelta(seconds=1))
        await poll_payments(desk.services, clock.now(), 10)
        assert await desk.due(order) == ("PAID", 20_000, 0, 0)
        assert (await desk.at_provider(payment))["captured_minor"] == 20_000
        assert await desk.topics(order.order_id) == ["order.paid"]
        assert await desk.stock(order.pool_ids["1001"]) == (8, 0)

    async def test_an_authorization_for_goods_that_are_gone_is_never_captured(
        self, desk: Desk, clock: OffsetClock
    ) -> None:
        line = Line("1001", quantity=2, reserve_on="pay", on_hand=3)
        lucky, late = await desk.place(line), await desk.place(line)
        payments = [await desk.start(order) for order in (lucky, late)]
        for payment in payments:
            await desk.press(payment)
            await until(desk.is_payment(payment, "AUTHORIZED"))
        clock.advance(timedelta(seconds=1))
        await poll_payments(desk.services, clock.now(), 10)
        await close_due_with_attempts(desk.services, clock.now(), 10)
        assert [await desk.payment_status(payment) for payment in payments] == ["CAPTURED", "CANCELED"]
        assert await desk.order_status(late.order_id) == "CANCELED"
        assert (await desk.at_provider(payments[1]))["status"] == "canceled"
        assert await desk.refunds(late) == []
        assert await desk.stock(late.pool_ids["1001"]) == (1, 0)
