"""Asking for money back: whole, by line, by amount; never more than was captured."""

import asyncio

import pytest

from tests.conftest import Login
from tests.paid_orders import Line
from tests.payments.desk import Desk

THREE_LINES = (
    Line("1001", quantity=3, unit_price_minor=3_333),
    Line("1002", quantity=1, unit_price_minor=1),
    Line("2001", quantity=2, unit_price_minor=5_000, shop_id="8"),
)


async def test_without_lines_and_amount_all_that_is_left_is_asked_back(desk: Desk) -> None:
    order, _ = await desk.paid_order(*THREE_LINES)
    answer = await desk.refund(order.order_id, reason="changed my mind")
    assert answer.status_code == 202
    assert (answer.json()["status"], answer.json()["amount_minor"]) == ("REQUESTED", 20_000)
    assert await desk.due(order) == ("PAID", 20_000, 20_000, 0)
    again = await desk.refund(order.order_id)
    assert (again.status_code, again.json()["code"]) == (409, "refund_too_high")
    assert again.json()["left_minor"] == 0
    assert await desk.refunds(order) == [("buyer", "REQUESTED", 20_000)]


async def test_units_refunded_one_by_one_add_up_to_what_was_paid(desk: Desk) -> None:
    order, _ = await desk.paid_order(Line("1001", quantity=3, unit_price_minor=3_333))
    await desk.value("UPDATE order_line SET promotion_discount_minor = 2, payable_minor = 9997")
    await desk.value("UPDATE orders SET promotion_discount_minor = 2, payable_minor = 9997")
    line = {"line_id": str(order.line_ids["1001"]), "quantity": 1}
    answers = [await desk.refund(order.order_id, lines=[line]) for _ in range(4)]
    assert [answer.json().get("amount_minor") for answer in answers] == [3332, 3332, 3333, None]
    assert (answers[3].status_code, answers[3].json()["code"]) == (409, "refund_too_high")


async def test_a_line_gives_back_units_money_or_both(desk: Desk) -> None:
    order, _ = await desk.paid_order(*THREE_LINES)
    lines = [
        {"line_id": str(order.line_ids["1001"]), "quantity": 2},
        {"line_id": str(order.line_ids["2001"]), "amount_minor": 700},
    ]
    answer = await desk.refund(order.order_id, lines=lines, amount_minor=6_666 + 700)
    assert (answer.status_code, answer.json()["amount_minor"]) == (202, 7_366)
    rows = await desk.services.pool.fetch(
        "SELECT sku_id, refunded_quantity, refunded_minor FROM order_line ORDER BY sku_id"
    )
    assert [tuple(row) for row in rows] == [("1001", 2, 6_666), ("1002", 0, 0), ("2001", 0, 700)]


async def test_an_amount_is_spread_over_the_lines_to_the_cent(desk: Desk) -> None:
    order, _ = await desk.paid_order(*THREE_LINES)
    answer = await desk.refund(order.order_id, amount_minor=1_001)
    assert answer.json()["amount_minor"] == 1_001
    rows = await desk.services.pool.fetch("SELECT quantity, amount_minor FROM refund_line ORDER BY line_id")
    assert [row["quantity"] for row in rows] == [0, 0]
    assert sum(row["amount_minor"] for row in rows) == 1_001


async def test_a_child_gives_back_only_its_own(desk: Desk) -> None:
    order, _ = await desk.paid_order(*THREE_LINES)
    answer = await desk.refund(order.child_ids[1])
    assert (answer.status_code, answer.json()["amount_minor"]) == (202, 10_000)
    too_much = await desk.refund(order.child_ids[0], amount_minor=10_001)
    assert (too_much.status_code, too_much.json()["left_minor"]) == (409, 10_000)
    assert await desk.due(order) == ("PAID", 20_000, 10_000, 0)


async def test_refunds_that_arrive_together_never_exceed_what_was_captured(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    answers = await asyncio.gather(
        *(desk.refund(order.order_id, amount_minor=15_000) for _ in range(4)),
        *(desk.refund(order.order_id) for _ in range(4)),
    )
    taken = [answer.json()["amount_minor"] for answer in answers if answer.status_code == 202]
    assert sum(taken) in (15_000, 20_000)
    assert {answer.status_code for answer in answers} == {202, 409}
    assert (await desk.due(order))[2] == sum(taken)
    assert await desk.value("SELECT sum(refunded_minor) FROM order_line") == sum(taken)


async def test_one_key_asks_once(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    answers = await asyncio.gather(
        *(desk.refund(order.order_id, key="k", amount_minor=5_000) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert len(await desk.refunds(order)) == 1
    other = await desk.refund(order.order_id, key="k", amount_minor=6_000)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await desk.due(order) == ("PAID", 20_000, 5_000, 0)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"lines": [{"line_id": "LINE", "quantity": 3}]}, 409, "refund_too_high"),
        ({"lines": [{"line_id": "LINE", "amount_minor": 20_001}]}, 409, "refund_too_high"),
        ({"amount_minor": 20_001}, 409, "refund_too_high"),
        ({"lines": [{"line_id": "1", "quantity": 1}]}, 422, "refund_mismatch"),
        ({"lines": [{"line_id": "LINE"}]}, 422, "refund_mismatch"),
        ({"lines": [{"line_id": "LINE", "quantity": 1}] * 2}, 422, "refund_mismatch"),
        ({"lines": [{"line_id": "LINE", "quantity": 1}], "amount_minor": 1}, 422, "refund_mismatch"),
        ({"amount_minor": 0}, 400, "invalid_request"),
        ({"amount_minor": 1.5}, 400, "invalid_request"),
        ({"lines": [{"line_id": "LINE", "quantity": -1}]}, 400, "invalid_request"),
        ({"surprise": 1}, 400, "invalid_request"),
    ],
)
async def test_what_does_not_fit_is_refused_and_changes_nothing(
    desk: Desk, body: dict[str, object], status: int, code: str
) -> None:
    order, _ = await desk.paid_order()
    if isinstance(lines := body.get("lines"), list):
        line_id = str(order.line_ids["1001"])
        body = body | {
            "lines": [
                line | {"line_id": line_id if line["line_id"] == "LINE" else line["line_id"]}
                for line in lines
            ]
        }
    refused = await desk.refund(order.order_id, **body)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert await desk.refunds(order) == []
    assert await desk.due(order) == ("PAID", 20_000, 0, 0)
    assert await desk.value("SELECT sum(refunded_minor) FROM order_line") == 0


async def test_all_lines_of_an_order_that_has_a_gift_too_can_be_named(desk: Desk) -> None:
    order, _ = await desk.paid_order()
    lines = [{"line_id": str(number), "quantity": 1} for number in range(1, 102)]
    refused = await desk.refund(order.order_id, lines=lines)  # another order's, but not too many
    assert (refused.status_code, refused.json()["code"]) == (422, "refund_mismatch")


async def test_what_is_not_paid_or_not_ones_own_cannot_be_refunded(desk: Desk, login: Login) -> None:
    unpaid = await desk.place(Line("2001"))
    refused = await desk.refund(unpaid.order_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "order_not_refundable")
    order, _ = await desk.paid_order()
    desk.headers = login("43")
    foreign = await desk.refund(order.order_id)
    assert (foreign.status_code, foreign.json()["code"]) == (404, "order_not_found")
    desk.headers = login("m", "merchant", "7")
    assert (await desk.refund(order.order_id)).status_code == 403
    assert await desk.refunds(order) == []
    desk.headers = login("ann", "op")
    assert (await desk.refund(order.order_id)).status_code == 202
    assert await desk.refunds(order) == [("merchant", "REQUESTED", 20_000)]
