"""Paying, closing and refunding at the same moment: one is first, nothing is lost, nobody deadlocks."""

import asyncio
from datetime import timedelta

from app.lib.clock import OffsetClock
from app.orders.close import close_due_with_attempts
from app.refunds.send import send_due_refunds
from tests.paid_orders import Line
from tests.payments.desk import Desk, until

ORDERS = 12


async def test_an_order_paid_as_it_closes_is_paid_or_its_money_goes_back(
    desk: Desk, clock: OffsetClock
) -> None:
    orders = [await desk.place(Line("1001", quantity=2, on_hand=2 * ORDERS)) for _ in range(ORDERS)]
    payments = await asyncio.gather(*(desk.start(order) for order in orders))
    clock.advance(timedelta(minutes=15))
    told = asyncio.gather(*(desk.tell(desk.report(payment, "captured")) for payment in payments))
    await asyncio.gather(told, *(close_due_with_attempts(desk.services, clock.now(), 4) for _ in range(3)))
    while await close_due_with_attempts(desk.services, clock.now(), 4):
        pass
    assert [answer.json()["status"] for answer in told.result()] == ["APPLIED"] * ORDERS
    paid = 0
    for order in orders:
        status, refunds = await desk.order_status(order.order_id), await desk.refunds(order)
        if status == "PENDING_SHIPMENT":
            paid += 1
            assert (refunds, (await desk.due(order))[0]) == ([], "PAID")
        else:
            assert status == "CANCELED"
            assert (refunds, (await desk.due(order))[0]) == (
                [("late_payment", "REQUESTED", 20_000)],
                "CLOSED",
            )
    assert await desk.stock(orders[0].pool_ids["1001"]) == (2 * (ORDERS - paid), 0)
    assert await desk.value("SELECT count(*) FROM ledger_entry") == 2 * ORDERS


async def test_orders_that_cross_in_their_goods_are_paid_and_refunded_without_deadlock(desk: Desk) -> None:
    there, back = Line("1001", on_hand=2 * ORDERS), Line("1002", on_hand=2 * ORDERS)
    orders = [await desk.place(*((there, back) if n % 2 else (back, there))) for n in range(ORDERS)]
    payments = await asyncio.gather(*(desk.start(order) for order in orders))

    async def pay_and_refund(n: int) -> None:
        await desk.press(payments[n])
        await until(desk.is_paid(orders[n]))
        assert (await desk.refund(orders[n].order_id)).status_code == 202
        await send_due_refunds(desk.services, desk.services.clock.now(), 3)

    await asyncio.gather(*(pay_and_refund(n) for n in range(ORDERS)))
    for order in orders:
        await until(desk.are_refunds(order, "SUCCEEDED"))
    assert {await desk.order_status(order.order_id) for order in orders} == {"CLOSED"}
    assert [await desk.stock(orders[0].pool_ids[sku]) for sku in ("1001", "1002")] == [(24, 0), (24, 0)]
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert await desk.value(deadlocks) == 0
    assert await desk.value("SELECT sum(amount_minor) FROM ledger_entry") == 0
