"""Who pays too late and has agreed to that gets a place in another open group, else the money back; once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from app.groups.settle import settle_due, settle_strays
from app.orders.close import close_due_with_attempts
from tests.groups.conftest import Shop


async def late(shop: Shop, buyer: str, group_id: str | None, **fields: Any) -> Any:
    """A payment for an order whose slot was given away because nobody paid in time."""
    order = await shop.order(buyer, group_id, **fields)
    payment = await shop.start_payment(buyer, order["order_id"])
    await lapse(shop)
    return payment | order


async def lapse(shop: Shop) -> None:
    shop.clock.advance(timedelta(seconds=shop.services.settings.pay_timeout_s + 16))
    await close_due_with_attempts(shop.services, shop.clock.now(), 50)


async def strays(shop: Shop) -> int:
    return await settle_strays(shop.services, shop.clock.now(), 100)


async def place_of(shop: Shop, order: Any) -> tuple[str | None, int | None]:
    row = await shop.services.pool.fetchrow(
        "SELECT group_id::text, slot FROM group_order WHERE order_id = $1", int(order["order_id"])
    )
    assert row is not None
    return row["group_id"], row["slot"]


async def refunds(shop: Shop) -> list[str]:
    rows = await shop.services.pool.fetch("SELECT cause FROM refund")
    return [row["cause"] for row in rows]


async def test_late_money_gets_the_slot_in_the_same_group_where_one_is_free_again(shop: Shop) -> None:
    await shop.open(group_open_s=7_200)
    group_id = await shop.paid("ann")
    nearer = await shop.paid("dee")
    await shop.paid("eve", nearer)
    order = await late(shop, "bo", group_id, join_other=True)
    assert await shop.states(order["order_id"]) == [("CANCELED", "CANCELED")]
    await shop.captured(order)
    assert await shop.states(order["order_id"]) == [("PAID", "PENDING_GROUP")]
    assert await strays(shop) == 1
    assert await place_of(shop, order) == (group_id, 2)
    assert (await shop.group(group_id))["members_paid"] == 2
    assert await refunds(shop) == []


async def test_else_the_group_that_is_nearest_to_full_then_the_one_that_ends_first(shop: Shop) -> None:
    await shop.open(group_open_s=7_200)
    over = await shop.paid("ann")
    order = await late(shop, "bo", over, join_other=True)
    for buyer in ("cy", "dee"):
        await shop.paid(buyer, over)
    assert await settle_due(shop.services, shop.clock.now(), 10) == 1
    one = await shop.paid("eve")
    shop.clock.advance(timedelta(seconds=1))
    two = await shop.paid("flo")
    for group_id, buyer in ((one, "gus"), (two, "hal")):
        await shop.paid(buyer, group_id)
    await shop.paid("ida")  # ends later, and is farther from full
    await shop.captured(order)
    assert await strays(shop) == 1
    assert await place_of(shop, order) == (one, 3)
    told = await shop.services.pool.fetch(
        "SELECT topic, aggregate_version, payload FROM outbox "
        "WHERE topic LIKE 'group.%' AND aggregate_id = $1 ORDER BY aggregate_version",
        int(one),
    )
    assert [(row["topic"], row["aggregate_version"]) for row in told] == [
        ("group.started", 1),
        ("group.joined", 2),
        ("group.almost_full", 3),
        ("group.joined", 4),
    ]
    joined = told[-1]["payload"]
    assert (joined["buyer_id"], joined["late_for_group_id"]) == ("bo", over)
    assert await settle_due(shop.services, shop.clock.now(), 10) == 1
    assert await shop.states(order["order_id"]) == [("SUCCEEDED", "PENDING_SHIPMENT")]


async def test_never_a_group_where_the_buyer_is_a_member_already(shop: Shop) -> None:
    await shop.open(group_open_s=7_200)
    group_id = await shop.paid("ann")
    order = await late(shop, "bo", group_id, join_other=True)
    await shop.paid("bo", group_id)
    far = await shop.paid("cy")
    await shop.captured(order)
    assert await strays(shop) == 1
    assert await place_of(shop, order) == (far, 2)


async def test_without_another_group_the_money_goes_back_and_that_is_told(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    order = await late(shop, "bo", group_id, join_other=True)
    shop.clock.advance(timedelta(seconds=3_616))
    assert await settle_due(shop.services, shop.clock.now(), 10) == 1
    await shop.captured(order)
    assert await strays(shop) == 1
    assert await shop.states(order["order_id"]) == [("REFUNDING", "PENDING_GROUP")]
    for order_id in (group_id, order["order_id"]):
        await shop.refunded(order_id)
    assert await shop.states(order["order_id"]) == [("REFUNDED", "CLOSED")]
    told = await shop.services.pool.fetch(
        "SELECT topic, aggregate_version, payload->>'order_id' AS order_id FROM outbox "
        "WHERE topic LIKE 'group.%' AND aggregate_id = $1 ORDER BY aggregate_version",
        int(group_id),
    )
    assert [tuple(row) for row in told] == [
        ("group.started", 1, None),
        ("group.failed", 2, None),
        ("group.refunded", 3, group_id),
        ("group.refunded", 4, order["order_id"]),
    ]


async def test_who_has_not_agreed_or_has_canceled_gets_the_money_back(shop: Shop) -> None:
    await shop.open(group_open_s=7_200)
    group_id = await shop.paid("ann")
    not_agreed = await late(shop, "bo", group_id)
    order = await shop.order("cy", group_id, join_other=True)
    canceled = order | await shop.start_payment("cy", order["order_id"])
    await shop.call(shop.login("cy"), "POST", f"/shopping/orders/{order['order_id']}/cancel")
    for each in (not_agreed, canceled):
        await shop.captured(each)
    assert await strays(shop) == 0
    assert await shop.states(not_agreed["order_id"], canceled["order_id"]) == [("CANCELED", "CANCELED")] * 2
    assert await refunds(shop) == ["late_payment"] * 2


async def test_late_money_for_a_start_joins_another_group(shop: Shop) -> None:
    await shop.open(group_open_s=7_200)
    order = await late(shop, "ann", None, join_other=True)
    group_id = await shop.paid("bo")
    await shop.captured(order)
    assert await strays(shop) == 1
    assert await place_of(shop, order) == (group_id, 2)


async def test_refunded_late_money_of_a_start_is_told_of_the_group_that_never_was(shop: Shop) -> None:
    await shop.open()
    order = await late(shop, "ann", None, join_other=True)
    await shop.captured(order)
    assert await strays(shop) == 1
    await shop.refunded(order["order_id"])
    told = await shop.services.pool.fetchrow(
        "SELECT aggregate_id, aggregate_version FROM outbox WHERE topic = 'group.refunded'"
    )
    assert told is not None
    assert tuple(told) == (int(order["order_id"]), 1)


async def test_the_stock_is_respected_and_a_full_group_locks_it_for_all(shop: Shop) -> None:
    await shop.open(stock=3, group_open_s=7_200)
    group_id = await shop.paid("ann")
    first = await late(shop, "bo", group_id, join_other=True)
    second = await late(shop, "cy", group_id, join_other=True)
    await shop.captured(first)
    await shop.captured(second)
    assert await strays(shop) == 2
    assert await shop.pool() == (3, 3)
    assert await settle_due(shop.services, shop.clock.now(), 10) == 1
    assert await shop.pool() == (0, 0)
    assert (await shop.group(group_id))["status"] == "SUCCEEDED"


async def test_where_each_member_holds_its_own_a_late_one_does_or_has_the_money_back(shop: Shop) -> None:
    await shop.open(stock=3, group_open_s=7_200, stock_policy="each_member")
    group_id = await shop.paid("ann")
    fits = await late(shop, "bo", group_id, join_other=True)
    too_many = await late(shop, "cy", group_id, quantity=2, join_other=True)
    assert await shop.pool() == (3, 1)
    await shop.captured(fits)
    await shop.captured(too_many, 16_000)
    assert await strays(shop) == 2
    assert await shop.pool() == (3, 2)
    assert await shop.states(fits["order_id"], too_many["order_id"]) == [
        ("PAID", "PENDING_GROUP"),
        ("REFUNDING", "PENDING_GROUP"),
    ]


async def test_a_limit_that_a_second_order_has_used_up_holds_for_the_late_one(shop: Shop) -> None:
    await shop.open(group_open_s=7_200, per_buyer_max=1)
    group_id = await shop.paid("ann")
    alone = await late(shop, "bo", group_id, join_other=True)
    twice = await late(shop, "cy", group_id, join_other=True)
    await shop.paid("cy")
    await shop.captured(alone)
    await shop.captured(twice)
    assert await strays(shop) == 2
    assert await shop.states(alone["order_id"], twice["order_id"]) == [
        ("PAID", "PENDING_GROUP"),
        ("REFUNDING", "PENDING_GROUP"),
    ]


async def test_two_workers_and_a_repeated_report_place_it_once(shop: Shop) -> None:
    await shop.open(group_open_s=7_200)
    group_id = await shop.paid("ann")
    order = await late(shop, "bo", group_id, join_other=True)
    await asyncio.gather(shop.captured(order), shop.captured(order))
    await asyncio.gather(strays(shop), strays(shop), strays(shop))
    await shop.captured(order)
    assert await place_of(shop, order) == (group_id, 2)
    assert (await shop.group(group_id))["members_paid"] == 2
    assert await refunds(shop) == []


async def test_a_group_of_two_is_almost_full_from_its_start(shop: Shop) -> None:
    await shop.open(orders_to_succeed=2)
    group_id = await shop.paid("ann")
    await shop.paid("bo", group_id)
    told = await shop.services.pool.fetch(
        "SELECT topic, aggregate_version FROM outbox WHERE topic LIKE 'group.%' ORDER BY aggregate_version"
    )
    assert [tuple(row) for row in told] == [
        ("group.started", 1),
        ("group.almost_full", 2),
        ("group.joined", 3),
    ]
