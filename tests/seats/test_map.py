"""Drawing a map: what it shows, what it refuses, and that a refusal changes nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.campaigns.publish import publish_due
from app.groups.settle import settle_due
from tests.groups.conftest import Shop
from tests.seats.conftest import SESSION, full_group, open_show, put_item, put_seats, rows, taken

PATH = "/admin/skus/1001/seats"


async def test_a_map_is_shown_as_it_was_drawn(shop: Shop) -> None:
    await put_item(shop)
    drawn = {
        "session": SESSION,
        "rows": [
            {"row": "Stalls 1", "seats": [None, "1", "3", None, "4", "2"]},
            {"row": "Stalls 2", "seats": ["1"]},
        ],
    }
    shown = {
        "sku_id": "1001",
        "session": SESSION,
        "seats": 5,
        "free": 5,
        "rows": [row | {"taken": []} for row in drawn["rows"]],  # type: ignore[call-overload]
    }
    for _ in range(2):  # it may be repeated
        assert await shop.call(shop.merchant, "PUT", PATH, drawn) == shown
    assert await shop.call(shop.op, "GET", PATH) == shown


async def test_a_new_map_keeps_what_is_taken_where_it_is_now(shop: Shop) -> None:
    await open_show(shop, "...", "...", "...", stock=3)
    orders = await full_group(shop, "a", 1, 1, 1)
    await settle_due(shop.services, shop.clock.now(), 10)
    before = await taken(shop)
    assert before == dict(zip(["A1", "A2", "A3"], orders, strict=True))
    again = [{"row": "B", "seats": ["1"]}, {"row": "A", "seats": ["3", None, "2", "1"]}]
    shown = await put_seats(shop, rows=again)
    assert (shown["seats"], shown["free"]) == (4, 1)
    assert shown["rows"][1]["seats"] == ["3", None, "2", "1"]
    assert await taken(shop) == before


async def test_a_map_without_somebodys_seat_is_refused(shop: Shop) -> None:
    await open_show(shop, "...", "...", stock=3)
    await full_group(shop, "a", 1, 1, 1)
    await settle_due(shop.services, shop.clock.now(), 10)
    before = await shop.call(shop.op, "GET", PATH)
    refused = await put_seats(shop, "..", "......", status=409)
    assert (refused["code"], refused["seats"]) == ("seats_given", [{"row": "A", "number": "3"}])
    assert (await put_seats(shop, status=409))["code"] == "seats_given"
    assert await shop.call(shop.op, "GET", PATH) == before


async def test_a_campaign_is_published_only_with_a_seat_for_all_that_it_sells(shop: Shop) -> None:
    await put_item(shop)
    await put_seats(shop, "...", "...")
    with pytest.raises(AssertionError, match="too_few_seats"):
        await shop.open(stock=7)
    stock = "SELECT sum(on_hand) FROM stock_pool WHERE activity_id <> '0'"
    assert await shop.services.pool.fetchval(stock) is None
    assert await publish_due(shop.services, shop.clock.now(), 10) == 1
    decisions = "SELECT reason FROM campaign_decision WHERE action = 'not_published'"
    assert await shop.services.pool.fetchval(decisions) == "too_few_seats"
    await put_seats(shop, "...", "....")
    shop.clock.advance(timedelta(minutes=2))
    assert await publish_due(shop.services, shop.clock.now(), 10) == 1
    assert await shop.services.pool.fetchval(stock) == 7
    with pytest.raises(AssertionError, match="too_few_seats"):
        await shop.open(stock=1)  # another campaign of the same session


async def test_a_campaigns_stock_and_its_map_change_only_so_far_as_there_are_seats(shop: Shop) -> None:
    await open_show(shop, "...", "...", stock=5)
    item = f"/merchant/campaign_items/{shop.campaign['items'][0]['campaign_item_id']}"
    await shop.call(shop.op, "PUT", "/admin/skus/1001/stock", {"on_hand": 10})
    await shop.call(shop.merchant, "PUT", f"{item}/sell_status", {"sell_status": "CLOSED"})
    refused = await shop.call(shop.merchant, "PUT", f"{item}/stock", {"total_stock": 7}, 409)
    assert (refused["code"], refused["sku_ids"]) == ("too_few_seats", ["1001"])
    assert await shop.pool() == (5, 0)
    await shop.call(shop.merchant, "PUT", f"{item}/stock", {"total_stock": 6})
    for smaller in (["...", ".."], []):
        assert (await put_seats(shop, *smaller, status=409))["code"] == "too_few_seats"
    assert (await shop.call(shop.op, "GET", PATH))["seats"] == 6


async def test_a_map_that_nothing_is_sold_by_can_be_taken_away(shop: Shop) -> None:
    await put_item(shop)
    await put_seats(shop, "...")
    assert await put_seats(shop) == {"sku_id": "1001", "session": None, "seats": 0, "free": 0, "rows": []}
    await shop.open(stock=9)


async def test_a_map_that_comes_late_seats_the_groups_that_have_succeeded(shop: Shop) -> None:
    await shop.open(stock=6)
    orders = await full_group(shop, "a", 1, 2, 1)
    await settle_due(shop.services, shop.clock.now(), 10)
    refused = await put_seats(shop, "...", status=409)
    assert refused["code"] == "too_few_seats"
    assert (await put_seats(shop, ".....", status=409))["code"] == "too_few_seats"  # two are still on sale
    assert (await shop.call(shop.op, "GET", PATH))["seats"] == 0
    await put_seats(shop, "..", "....")
    assert await taken(shop) == {"B1": orders[0], "B2": orders[1], "B3": orders[1], "B4": orders[2]}


async def test_two_categories_of_a_session_have_no_seat_in_common(shop: Shop) -> None:
    await put_item(shop, "1001", "1002")
    await put_seats(shop, "...")
    refused = await put_seats(shop, "....", sku_id="1002", status=409)
    assert refused["code"] == "seats_of_other_sku"
    assert refused["seats"] == [{"row": "A", "number": number, "sku_id": "1001"} for number in "123"]
    assert (await shop.call(shop.op, "GET", "/admin/skus/1002/seats"))["seats"] == 0
    await put_seats(shop, "....", sku_id="1002", session="2026-12-25 19:30")
    assert (await put_seats(shop, "...", session="2026-12-25 19:30", status=409))["code"] == refused["code"]


@pytest.mark.parametrize(
    "body",
    [
        {"rows": rows("...")},
        {"session": SESSION},
        {"session": SESSION, "rows": rows("..."), "hall": "1"},
        {"session": SESSION, "rows": rows("...") * 2},
        {"session": SESSION, "rows": [{"row": "A", "seats": ["1", "1"]}]},
        {"session": SESSION, "rows": [{"row": "A", "seats": [None]}]},
        {"session": SESSION, "rows": [{"row": "A", "seats": []}]},
        {"session": SESSION, "rows": [{"row": "A", "seats": [1]}]},
        {"session": SESSION, "rows": [{"row": "A", "seats": [""]}]},
        {"session": SESSION, "rows": [{"row": "A\u0000", "seats": ["1"]}]},
        {"session": SESSION, "rows": [{"row": "A", "seats": [str(n) for n in range(501)]}]},
        {
            "session": SESSION,
            "rows": [{"row": str(n), "seats": [str(seat) for seat in range(100)]} for n in range(101)],
        },
    ],
)
async def test_what_is_no_map_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    await put_item(shop)
    await put_seats(shop, "...")
    assert (await shop.call(shop.op, "PUT", PATH, body, 400))["code"] == "invalid_request"
    assert (await shop.call(shop.op, "GET", PATH))["seats"] == 3


async def test_only_the_shop_and_operators_see_and_draw_it(shop: Shop) -> None:
    await put_item(shop)
    body = {"session": SESSION, "rows": rows("...")}
    for headers in (shop.login("bo"), shop.login("eve", "merchant", shop_id="8")):
        await shop.call(headers, "PUT", PATH, body, 403)
        await shop.call(headers, "GET", PATH, status=403)
    await shop.call({}, "GET", PATH, status=401)
    for method in ("PUT", "GET"):
        answer = await shop.call(shop.op, method, "/admin/skus/none/seats", body, 404)
        assert answer["code"] == "sku_not_found"
    assert (await shop.call(shop.op, "GET", PATH))["seats"] == 0


async def test_the_largest_map_there_may_be(shop: Shop) -> None:
    await put_item(shop)
    drawn = [{"row": f"R{n}", "seats": [f"{seat:03}" for seat in range(100)]} for n in range(100)]
    assert (await put_seats(shop, rows=drawn))["free"] == 10_000
    await put_item(shop, "1001", "1002")
    refused = await put_seats(shop, rows=drawn, sku_id="1002", status=409)
    assert (refused["code"], len(refused["seats"])) == ("seats_of_other_sku", 100)
