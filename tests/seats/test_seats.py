"""Groups of a show get their seats when they succeed, and give them back with the goods."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from app.groups.settle import settle_due
from app.lib.postgres import transaction
from app.seats.give import assign_seats
from tests.groups.conftest import Shop
from tests.seats.conftest import full_group, open_show, put_item, put_seats, settle_one, taken


async def settle_all(shop: Shop) -> int:
    return await settle_due(shop.services, shop.clock.now(), 100)


def seat_names(seats: Any) -> list[str]:
    return [seat["row"] + seat["number"] for seat in seats]


async def order_line(shop: Shop, buyer: str, order_id: str) -> Any:
    detail = await shop.call(shop.login(buyer), "GET", f"/shopping/orders/{order_id}")
    return detail["shops"][0]["lines"][0]


async def told_of_success(shop: Shop) -> Any:
    return await shop.services.pool.fetchval("SELECT payload FROM outbox WHERE topic = 'group.succeeded'")


async def test_members_sit_together_in_the_best_row_and_see_it_in_their_orders_and_others_in_the_event(
    shop: Shop,
) -> None:
    await open_show(shop, "... ...", "......")
    orders = await full_group(shop, "a", 1, 2, 1)
    assert "seats" not in await order_line(shop, "a1", orders[1])
    mine = await shop.call(shop.login("a1"), "GET", f"/groupbuy/orders/{orders[1]}")
    assert mine["seats"] == []
    assert await settle_all(shop) == 1
    assert await taken(shop) == {"B1": orders[0], "B2": orders[1], "B3": orders[1], "B4": orders[2]}
    assert seat_names((await order_line(shop, "a1", orders[1]))["seats"]) == ["B2", "B3"]
    mine = await shop.call(shop.login("a1"), "GET", f"/groupbuy/orders/{orders[1]}")
    assert seat_names(mine["seats"]) == ["B2", "B3"]
    told = await told_of_success(shop)
    members = {each["order_id"]: seat_names(each["seats"]) for each in told["members"]}
    assert members == {orders[0]: ["B1"], orders[1]: ["B2", "B3"], orders[2]: ["B4"]}


async def test_asked_twice_the_seats_are_the_same(shop: Shop) -> None:
    await open_show(shop, "....", "....")
    orders = await full_group(shop, "a", 1, 1, 1)
    await settle_all(shop)
    before = await taken(shop)
    assert await settle_all(shop) == 0
    async with transaction(shop.services.pool) as connection:
        again = await assign_seats(connection, [int(each) for each in orders])
    assert {str(order): [f"{s.row}{s.number}" for s in seats] for order, seats in again.items()} == {
        orders[0]: ["A1"],
        orders[1]: ["A2"],
        orders[2]: ["A3"],
    }
    assert await taken(shop) == before


async def test_groups_that_succeed_together_are_seated_one_after_the_other(shop: Shop) -> None:
    await open_show(shop, ".....", "....")
    first, second, third = [await full_group(shop, name, 1, 1, 1) for name in "abc"]
    async with transaction(shop.services.pool) as connection:
        await connection.execute("UPDATE group_order SET status = 'SUCCEEDED'")
        both = [int(each) for each in (*second, *first)]
        seats = await assign_seats(connection, both)
        assert [[f"{s.row}{s.number}" for s in seats[int(each)]] for each in first] == [
            ["A1"],
            ["A2"],
            ["A3"],
        ]
        assert [[f"{s.row}{s.number}" for s in seats[int(each)]] for each in second] == [
            ["B1"],
            ["B2"],
            ["B3"],
        ]
        last = await assign_seats(connection, [int(each) for each in third])
        assert [[f"{s.row}{s.number}" for s in last[int(each)]] for each in third] == [["A4"], ["A5"], ["B4"]]
        await connection.execute("UPDATE group_order SET status = 'PAID'")
        await connection.execute("UPDATE seat SET order_id = NULL, line_id = NULL")
    assert await settle_all(shop) == 3


async def test_a_group_without_a_block_is_split_between_members_and_sits_near(shop: Shop) -> None:
    await open_show(shop, "...", "...", "...")
    orders = await full_group(shop, "a", 2, 1, 2)
    await settle_all(shop)
    assert await taken(shop) == {
        "A1": orders[0],
        "A2": orders[0],
        "A3": orders[1],
        "B1": orders[2],
        "B2": orders[2],
    }


async def test_members_of_one_group_with_tickets_of_two_categories_sit_in_both(shop: Shop) -> None:
    await put_item(shop, "stalls", "balcony")
    await put_seats(shop, "...", sku_id="stalls")
    await put_seats(shop, sku_id="balcony", rows=[{"row": "Balcony", "seats": ["1", "2", "3"]}])
    await shop.open(stock=3, skus=("stalls", "balcony"), stock_policy="each_member")
    first = await shop.paid("a0")
    balcony = shop.campaign["items"][1]["campaign_item_id"]
    second = await shop.paid("a1", first, campaign_item_id=balcony)
    third = await shop.paid("a2", first)
    await settle_all(shop)
    assert await taken(shop, "stalls") == {"A1": first, "A2": third}
    assert await taken(shop, "balcony") == {"Balcony1": second}


async def test_two_campaigns_of_one_session_never_give_a_seat_twice(shop: Shop) -> None:
    await put_item(shop)
    await put_seats(shop, "......")
    await shop.open(stock=3)
    first = await full_group(shop, "a", 1, 1, 1)
    await shop.open(stock=3)
    second = await full_group(shop, "b", 1, 1, 1)
    assert await settle_all(shop) == 2
    assert await taken(shop) == dict(
        zip(["A1", "A2", "A3", "A4", "A5", "A6"], [*first, *second], strict=True)
    )


async def test_seats_come_back_with_the_goods_once(shop: Shop) -> None:
    await open_show(shop, "....", "..")
    orders = await full_group(shop, "a", 1, 2, 1)
    await settle_all(shop)
    line_id = (await order_line(shop, "a1", orders[1]))["line_id"]
    one = {"order_id": orders[1], "lines": [{"line_id": line_id, "quantity": 1}]}
    await shop.call(shop.login("a1"), "POST", "/refund/refund", one, 202)
    assert len(await taken(shop)) == 4  # asked for is not given back
    await shop.refunded(orders[1])
    assert await taken(shop) == {"A1": orders[0], "A2": orders[1], "A4": orders[2]}
    assert (await shop.pool())[0] == 3
    await shop.call(shop.login("a2"), "POST", "/refund/refund", {"order_id": orders[2]}, 202)
    await shop.refunded(orders[2])
    await shop.refunded(orders[2])
    assert await taken(shop) == {"A1": orders[0], "A2": orders[1]}
    assert "seats" not in await order_line(shop, "a2", orders[2])
    await shop.audit()
    again = await full_group(shop, "b", 1, 1, 1)
    await settle_all(shop)
    assert await taken(shop) == {"A1": orders[0], "A2": orders[1]} | dict(
        zip(["A3", "A4", "B1"], again, strict=True)
    )


async def test_who_loses_for_want_of_stock_gets_no_seat(shop: Shop) -> None:
    await open_show(shop, "....", stock_policy="on_success")
    first = await full_group(shop, "a", 1, 1, 1)
    second = await full_group(shop, "b", 1, 1, 1)
    assert await settle_all(shop) == 2
    assert await taken(shop) == dict(zip(["A1", "A2", "A3", "A4"], [*first, second[0]], strict=True))


async def test_a_group_that_is_completed_short_has_a_seat_for_each_who_paid(shop: Shop) -> None:
    await open_show(shop, "....", complete_from_bp=5_000)
    orders = await full_group(shop, "a", 1, 1)
    shop.clock.advance(timedelta(seconds=3_616))
    assert await settle_all(shop) == 1
    assert await taken(shop) == {"A1": orders[0], "A2": orders[1]}


async def test_goods_without_a_map_have_no_seats(shop: Shop) -> None:
    await shop.open(stock=3)
    orders = await full_group(shop, "a", 1, 1, 1)
    await settle_all(shop)
    assert "seats" not in await order_line(shop, "a0", orders[0])
    assert [sorted(each) for each in (await told_of_success(shop))["members"]] == [
        ["buyer_id", "order_id"]
    ] * 3
    found = await shop.call(shop.op, "GET", "/admin/skus/1001/seats")
    assert found == {"sku_id": "1001", "session": None, "seats": 0, "free": 0, "rows": []}


async def test_many_groups_of_one_session_that_succeed_at_one_instant(shop: Shop) -> None:
    """Of two campaigns, with refunds and a new map at the same time: no deadlock, no seat twice."""
    hall = ["........"] * 6
    await open_show(shop, *hall, stock=24)
    earlier = await full_group(shop, "e", 1, 1, 1)
    await settle_all(shop)
    for n, order_id in enumerate(earlier):
        await shop.call(shop.login(f"e{n}"), "POST", "/refund/refund", {"order_id": order_id}, 202)
    groups = [await full_group(shop, f"g{n}-", 1, 1, 1) for n in range(6)]
    await shop.open(stock=21)
    groups += [await full_group(shop, f"h{n}-", 1, 1, 1) for n in range(6)]
    await asyncio.gather(
        *[settle_one(shop, groups[n // 2 + n % 2 * 6][0]) for n in range(12)],
        *[shop.refunded(order_id) for order_id in earlier],
        *[put_seats(shop, *hall, "........") for _ in range(4)],
        settle_all(shop),
        shop.call(shop.op, "PUT", "/admin/skus/1001/stock", {"on_hand": 5}),
    )
    await settle_all(shop)
    seats = await taken(shop)
    assert sorted(seats.values()) == sorted(each for orders in groups for each in orders)
    assert len(seats) == 36
