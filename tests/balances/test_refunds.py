"""Refunds of orders that took points, cards and packets: each gets its share back, exactly."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from app.lib.postgres import transaction
from app.payments.aftermath import Aftermath, follow_up
from app.points.expire import expire_points
from app.refunds.settle import RefundOutcome, settle
from tests.auditing import assert_audit_clean
from tests.balances.calls import Operator
from tests.balances.conftest import Holds
from tests.balances.shop import Shop


async def refund(shop: Shop, order: dict[str, Any], **body: Any) -> httpx.Response:
    return await shop.client.post(
        "/refund/refund",
        json={"order_id": order["order_id"]} | body,
        headers=shop.headers | {"idempotency-key": uuid4().hex},
    )


async def refunded(shop: Shop, order: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Asked for, and the channel says that the money has gone back."""
    answer = await refund(shop, order, **body)
    assert answer.status_code == 202, answer.text
    reply: dict[str, Any] = answer.json()
    if reply["amount_minor"]:
        outcome = RefundOutcome(reply["refund_id"], "succeeded", reply["amount_minor"], "CNY")
        aftermath = Aftermath()
        async with transaction(shop.services.pool) as connection:
            await settle(shop.services, connection, outcome, aftermath)
        await follow_up(shop.services, aftermath)
    return reply


async def line_ids(shop: Shop, order: dict[str, Any]) -> dict[str, str]:
    detail = (await shop.client.get(f"/shopping/orders/{order['order_id']}", headers=shop.headers)).json()
    return {line["sku_id"]: line["line_id"] for part in detail["shops"] for line in part["lines"]}


async def status(shop: Shop, order: dict[str, Any]) -> tuple[str, str]:
    row = await shop.services.pool.fetchrow(
        "SELECT o.status, p.status AS due FROM orders AS o JOIN pay_order AS p USING (order_id)"
        " WHERE order_id = $1",
        int(order["order_id"]),
    )
    return row["status"], row["due"]


@pytest.fixture
async def order(op: Operator, shop: Shop) -> dict[str, Any]:
    """3 a and 1 b, 35.00: 3.01 in points, 2.50 of a packet, 7.77 and 4.00 of cards; 17.72 in money, paid."""
    await op.points_rules()
    await op.grant(400)
    await op.pool(funds_minor=1_000)
    first, second = await op.cards(777) + await op.cards(400)
    asked = {
        "points": 301,
        "gift_card_codes": [first["code"], second["code"]],
        "red_packet_id": await op.packet(250),
    }
    placed = await shop.place(("a", 3), ("b", 1), **asked)
    assert placed["payable_minor"] == 1_772
    await shop.pay(placed)
    return placed | {"codes": asked["gift_card_codes"]}


async def test_all_at_once_gives_back_each_part_to_where_it_came_from(
    order: dict[str, Any], shop: Shop, services: Services, holds: Holds
) -> None:
    assert await shop.points() == {"available": 99 + 17, "frozen": 0, "owed": 0}
    reply = await refunded(shop, order)
    assert {name: reply[name] for name in reply if name not in ("refund_id", "status")} == {
        "amount_minor": 1_772,
        "points": 301,
        "gift_card_minor": 1_177,
        "red_packet_minor": 250,
        "points_taken_back": 17,
    }
    assert await shop.points() == {"available": 400, "frozen": 0, "owed": 0}
    assert [await shop.card(code) for code in order["codes"]] == [777, 400]
    assert (await holds("red_packet_pool:spring"), await shop.packets()) == (1_000, ["used"])
    assert {await holds(f"spent:{kind}") for kind in ("points", "red_packet", "gift_card")} == {0}
    assert await status(shop, order) == ("CLOSED", "REFUNDED")
    again = await refund(shop, order)
    assert (again.status_code, again.json()["code"]) == (409, "refund_too_high")
    await assert_audit_clean(services)


@pytest.mark.parametrize(
    "sequence",
    [
        [{"a": 1}, {"a": 1}, {"a": 1}, {"b": 1}],
        [{"b": 1}, {"a": 2}, None],
        [{"amount_minor": 7}, {"a": 1}, {"amount_minor": 1_000}, None],
        [{"amount_minor": 1_771}, {"amount_minor": 1}],
    ],
)
async def test_whatever_the_sequence_of_partial_refunds_exactly_what_was_used_comes_back(
    order: dict[str, Any], shop: Shop, services: Services, holds: Holds, sequence: list[dict[str, int] | None]
) -> None:
    lines = await line_ids(shop, order)
    for step in sequence:
        body: dict[str, Any] = {}
        if step is not None:
            named = [{"line_id": lines[name], "quantity": step[name]} for name in step if name in lines]
            body = {"lines": named} if named else step
        await refunded(shop, order, **body)
        await assert_audit_clean(services)
    assert await shop.points() == {"available": 400, "frozen": 0, "owed": 0}
    assert [await shop.card(code) for code in order["codes"]] == [777, 400]
    assert await holds("red_packet_pool:spring") == 1_000
    assert await status(shop, order) == ("CLOSED", "REFUNDED")


async def test_refunds_that_arrive_together_give_nothing_back_twice(
    order: dict[str, Any], shop: Shop, services: Services
) -> None:
    answers = await asyncio.gather(*(refund(shop, order) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 4
    assert [await shop.card(code) for code in order["codes"]] == [777, 400]
    assert (await shop.points())["available"] == 400
    await assert_audit_clean(services)


async def test_an_order_paid_without_money_is_given_back_without_a_channel(
    op: Operator, shop: Shop, services: Services
) -> None:
    (card,) = await op.cards(5_000)
    order = await shop.place(("a", 2), ("c", 1), gift_card_codes=[card["code"]])
    assert order["payable_minor"] == 0
    lines = await line_ids(shop, order)
    first = await refunded(shop, order, lines=[{"line_id": lines["a"], "quantity": 1}])
    assert (first["amount_minor"], first["gift_card_minor"], first["status"]) == (0, 1_000, "SUCCEEDED")
    assert await status(shop, order) == ("INVALID", "PAID")
    assert await shop.card(card["code"]) == 3_700
    rest = await refunded(shop, order)
    assert (rest["amount_minor"], rest["gift_card_minor"]) == (0, 1_300)
    assert await status(shop, order) == ("INVALID", "REFUNDED")
    closed = await services.pool.fetch("SELECT DISTINCT status FROM orders WHERE parent_id IS NOT NULL")
    assert [row["status"] for row in closed] == ["CLOSED"]
    stock = await services.pool.fetch("SELECT DISTINCT on_hand, reserved FROM stock_pool")
    assert [tuple(row) for row in stock] == [(100, 0)]
    assert await shop.card(card["code"]) == 5_000
    detail = (await shop.client.get(f"/shopping/orders/{order['order_id']}", headers=shop.headers)).json()
    assert [(each["payment_id"], each["amount_minor"]) for each in detail["refunds"]] == [(None, 0)] * 2
    nothing = await refund(shop, order)
    assert (nothing.status_code, nothing.json()["code"]) == (409, "refund_too_high")
    await assert_audit_clean(services)


async def test_earned_points_that_were_spent_are_owed_and_kept_from_the_next(
    op: Operator, shop: Shop, services: Services
) -> None:
    await op.points_rules(cap_bp=10_000)
    order = await shop.place(("a", 10))
    await shop.pay(order)
    assert (await shop.points())["available"] == 100
    spending = await shop.place(("c", 1), points=100)
    await refunded(shop, order, amount_minor=5_000)
    assert await shop.points() == {"available": 0, "frozen": 100, "owed": 50}
    await refunded(shop, order)
    assert await shop.points() == {"available": 0, "frozen": 100, "owed": 100}
    await assert_audit_clean(services)
    await shop.cancel(spending)
    assert await shop.points() == {"available": 0, "frozen": 0, "owed": 0}
    await op.grant(30)
    assert await shop.points() == {"available": 30, "frozen": 0, "owed": 0}
    await assert_audit_clean(services)


async def test_the_next_points_pay_what_is_owed_first(op: Operator, shop: Shop, services: Services) -> None:
    await op.points_rules(cap_bp=10_000)
    order = await shop.place(("a", 10))
    await shop.pay(order)
    await shop.pay(await shop.place(("c", 1), points=100))
    await refunded(shop, order)
    # 100 taken back, 2 earned with the other order before
    assert await shop.points() == {"available": 0, "frozen": 0, "owed": 98}
    await op.grant(60)
    assert await shop.points() == {"available": 0, "frozen": 0, "owed": 38}
    await op.grant(60)
    assert await shop.points() == {"available": 22, "frozen": 0, "owed": 0}
    await assert_audit_clean(services)


async def test_what_comes_back_after_its_end_can_be_spent_for_a_month(
    op: Operator, shop: Shop, services: Services, clock: OffsetClock
) -> None:
    await op.points_rules()
    await op.grant(300, valid_days=1)
    (card,) = await op.cards(400, valid_days=1)
    order = await shop.place(("a", 1), points=300, gift_card_codes=[card["code"]])
    await shop.pay(order)
    clock.advance(timedelta(days=60))
    await expire_points(services, clock.now(), 10)
    await refunded(shop, order)
    assert (await shop.points())["available"] == 300
    summary = await shop.price(("a", 1), points=300, gift_card_codes=[card["code"]])
    assert summary["payable_minor"] == 300
    clock.advance(timedelta(days=31))
    assert (await shop.points())["available"] == 0
    summary = await shop.price(("a", 1), gift_card_codes=[card["code"]])
    assert [each["code"] for each in summary["rejected"]] == ["expired"]
    assert await expire_points(services, clock.now(), 10) == 1
    await assert_audit_clean(services, except_for=["waiting_outbox"])


async def test_a_child_gives_back_its_own_share(op: Operator, shop: Shop, services: Services) -> None:
    (card,) = await op.cards(650)
    order = await shop.place(("a", 1), ("c", 1), gift_card_codes=[card["code"]])
    await shop.pay(order)
    child = next(each for each in order["orders"] if each["shop_id"] == "8")
    reply = await refunded(shop, child)
    assert (reply["amount_minor"], reply["gift_card_minor"]) == (150, 150)
    assert await shop.card(card["code"]) == 150
    await assert_audit_clean(services)
