"""Which coupons come back when an order's money has gone back."""

from app.refunds.send import send_due_refunds
from tests.paid_orders import Order
from tests.payments.desk import Desk, until
from tests.placed import give_coupon


async def used_coupon(desk: Desk, order: Order, return_on: str) -> None:
    """A coupon that the paid order has used."""
    coupon_id = await give_coupon(desk.services)
    await desk.value("UPDATE coupon_template SET document = $1", {"return_on": return_on})
    await desk.value(
        "UPDATE coupon SET status = 'used', order_id = $2 WHERE coupon_id = $1", coupon_id, order.order_id
    )


async def refund(desk: Desk, order: Order, *done: str, **body: object) -> None:
    await desk.refund(order.order_id, **body)
    await send_due_refunds(desk.services, desk.services.clock.now(), 50)
    await until(desk.are_refunds(order, *done))


async def coupon(desk: Desk) -> tuple[str, int | None]:
    return tuple(await desk.services.pool.fetchrow("SELECT status, order_id FROM coupon"))


async def test_a_coupon_comes_back_with_the_last_of_the_money_where_its_template_says_so(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    await used_coupon(desk, order, "refund")
    await refund(desk, order, "SUCCEEDED", amount_minor=5_000)
    assert await coupon(desk) == ("used", order.order_id)
    await refund(desk, order, "SUCCEEDED", "SUCCEEDED")
    assert await coupon(desk) == ("available", None)


async def test_by_default_it_stays_used(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    await used_coupon(desk, order, "cancel")
    await refund(desk, order, "SUCCEEDED")
    assert await coupon(desk) == ("used", order.order_id)


async def test_after_its_time_it_does_not_come_back(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    await used_coupon(desk, order, "refund")
    await desk.value("UPDATE coupon SET valid_to = now()")
    await refund(desk, order, "SUCCEEDED")
    assert await coupon(desk) == ("expired", None)
