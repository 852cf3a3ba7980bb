"""Events that arrive at the same moment: one commit where they say the usual, and none held up by another."""

import asyncio
from typing import Any

import httpx

from app.events_in.apply import apply_waiting_events
from tests.paid_orders import Line, Order
from tests.payments.desk import Desk

ORDERS = 6


async def orders_with_attempts(desk: Desk, count: int = ORDERS) -> list[tuple[Order, Any]]:
    placed = [await desk.place(Line("1001", quantity=2, on_hand=2 * count)) for _ in range(count)]
    return [(order, await desk.start(order)) for order in placed]


async def told_together(desk: Desk, reports: list[dict[str, Any]], ids: list[str]) -> list[httpx.Response]:
    return await asyncio.gather(
        *(desk.tell(report, event_id=name) for report, name in zip(reports, ids, strict=True))
    )


def statuses(answers: list[httpx.Response]) -> list[tuple[int, str]]:
    return [(answer.status_code, answer.json()["status"]) for answer in answers]


async def commits(desk: Desk) -> int:
    """In how many transactions the events were stored."""
    return int(await desk.value("SELECT count(DISTINCT xmin::text) FROM inbound_event"))


async def test_many_captures_are_one_commit_and_each_pays_its_order(desk: Desk) -> None:
    pairs = await orders_with_attempts(desk)
    names = [f"e{n}" for n in range(ORDERS)]
    answers = await told_together(desk, [desk.report(payment, "captured") for _, payment in pairs], names)
    assert statuses(answers) == [(200, "APPLIED")] * ORDERS
    assert await commits(desk) == 1
    for order, payment in pairs:
        assert await desk.order_status(order.order_id) == "PENDING_SHIPMENT"
        assert await desk.payment_status(payment) == "CAPTURED"
        assert await desk.due(order) == ("PAID", 20_000, 0, 0)
        assert await desk.topics(order.order_id) == ["order.paid"]
    assert await desk.stock(pairs[0][0].pool_ids["1001"]) == (0, 0)
    assert await desk.value("SELECT count(*) FROM ledger_entry") == 2 * ORDERS
    bodies = await desk.services.pool.fetch("SELECT body FROM inbound_event ORDER BY event_id")
    assert [row["body"]["event_id"] for row in bodies] == names


async def test_captured_and_authorized_together_pay_once(desk: Desk) -> None:
    pairs = await orders_with_attempts(desk, 2)
    reports = [desk.report(payment, status) for _, payment in pairs for status in ("authorized", "captured")]
    answers = await told_together(desk, reports, ["a0", "c0", "a1", "c1"])
    assert statuses(answers) == [(200, "APPLIED")] * 4
    notes = await desk.services.pool.fetch("SELECT event_id, note FROM inbound_event ORDER BY event_id")
    assert [tuple(row) for row in notes] == [
        ("a0", "nothing"),
        ("a1", "nothing"),
        ("c0", "pay"),
        ("c1", "pay"),
    ]
    assert [await desk.due(order) for order, _ in pairs] == [("PAID", 20_000, 0, 0)] * 2
    assert [await desk.topics(order.order_id) for order, _ in pairs] == [["order.paid"]] * 2


async def test_one_event_id_told_twice_together_is_stored_once(desk: Desk) -> None:
    ((order, payment),) = await orders_with_attempts(desk, 1)
    report = desk.report(payment, "captured")
    answers = await told_together(desk, [report, report], ["e", "e"])
    assert statuses(answers) == [(200, "APPLIED")] * 2
    assert await desk.value("SELECT count(*) FROM inbound_event") == 1
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)


async def test_one_event_id_for_two_attempts_counts_for_one_of_them(desk: Desk) -> None:
    pairs = await orders_with_attempts(desk, 2)
    answers = await told_together(
        desk, [desk.report(payment, "captured") for _, payment in pairs], ["e", "e"]
    )
    assert statuses(answers) == [(200, "APPLIED")] * 2
    assert sorted([(await desk.due(order))[0] for order, _ in pairs]) == ["PAID", "UNPAID"]


async def test_what_does_not_fit_holds_up_none_of_its_neighbours(desk: Desk) -> None:
    (wrong, unpaid), (good, paid) = await orders_with_attempts(desk, 2)
    reports = [
        desk.report(unpaid, "captured", amount_minor=1),
        desk.report({"payment_id": "77"}, "captured"),
        desk.report(paid, "captured"),
    ]
    answers = await told_together(desk, reports, ["wrong", "early", "good"])
    assert statuses(answers) == [(200, "REJECTED"), (200, "WAITING"), (200, "APPLIED")]
    assert await desk.due(wrong) == ("UNPAID", 0, 0, 0)
    assert await desk.due(good) == ("PAID", 20_000, 0, 0)


async def test_a_batch_that_the_ledger_refuses_is_applied_one_by_one(desk: Desk) -> None:
    order = await desk.place(Line("2001"))
    spoilt = (order, await desk.start(order))
    pairs = [spoilt, *await orders_with_attempts(desk, 2)]
    # Nothing is reserved that this order could take away, so the CHECK of its pool fails the whole batch.
    await desk.value(
        "UPDATE stock_pool SET reserved = 0 WHERE pool_id = $1 RETURNING 1", order.pool_ids["2001"]
    )
    reports = [desk.report(payment, "captured") for _, payment in pairs]
    reports[0]["amount_minor"] = 10_000
    answers = await told_together(desk, reports, ["spoilt", "b", "c"])
    assert statuses(answers) == [(200, "RECEIVED"), (200, "APPLIED"), (200, "APPLIED")]
    assert [(await desk.due(each))[0] for each, _ in pairs] == ["UNPAID", "PAID", "PAID"]
    await desk.value("UPDATE stock_pool SET reserved = 1 WHERE pool_id = $1", order.pool_ids["2001"])
    await desk.value("UPDATE inbound_event SET apply_at = now() WHERE event_id = 'spoilt'")
    assert await apply_waiting_events(desk.services, desk.services.clock.now(), 10) == 1
    assert await desk.due(order) == ("PAID", 10_000, 0, 0)


async def test_two_attempts_of_one_order_together_pay_it_and_give_one_back(desk: Desk) -> None:
    order = await desk.place()
    attempts = [await desk.start(order) for _ in range(2)]
    answers = await told_together(desk, [desk.report(each, "captured") for each in attempts], ["a", "b"])
    assert statuses(answers) == [(200, "APPLIED")] * 2
    assert await desk.refunds(order) == [("double_payment", "REQUESTED", 20_000)]
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)
