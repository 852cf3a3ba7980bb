"""Groups from the first order to success or failure; after each test everything that must hold does hold."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from app.campaigns.end import end_due
from app.groups.settle import settle_due, settle_strays
from app.orders.close import close_due, close_due_with_attempts
from tests.groups.conftest import PRICE_MINOR, Shop


async def settle(shop: Shop) -> int:
    return await settle_due(shop.services, shop.clock.now(), 100)


async def close(shop: Shop) -> int:
    now = shop.clock.now()
    return await close_due(shop.services, now, 100) + await close_due_with_attempts(shop.services, now, 50)


async def test_three_friends_fill_a_group_and_each_has_the_order(shop: Shop) -> None:
    await shop.open(stock=3)
    placed = await shop.order("ann")
    assert (placed["group_id"], placed["slot"], placed["status"]) == (None, None, "UNPAID")
    assert (placed["payable_minor"], placed["stock_policy"]) == (PRICE_MINOR, "last_member")
    await shop.captured(await shop.start_payment("ann", placed["order_id"]))
    group_id = placed["order_id"]
    assert (await shop.group(group_id))["members_paid"] == 1
    bo = await shop.paid("bo", group_id)
    cy = await shop.order("cy", group_id)
    assert (cy["slot"], await shop.pool()) == (3, (3, 3))  # the last slot locks the stock of all
    assert await settle(shop) == 0
    await shop.captured(await shop.start_payment("cy", cy["order_id"]))
    assert await settle(shop) == 1
    group = await shop.group(group_id)
    assert (group["status"], group["members"], group["members_paid"]) == ("SUCCEEDED", 3, 3)
    assert await shop.states(group_id, bo, cy["order_id"]) == [("SUCCEEDED", "PENDING_SHIPMENT")] * 3
    assert await shop.pool() == (0, 0)
    told = await shop.services.pool.fetch(
        "SELECT topic, aggregate_version FROM outbox WHERE topic LIKE 'group.%' ORDER BY aggregate_version"
    )
    assert [tuple(row) for row in told] == [
        ("group.started", 1),
        ("group.joined", 2),
        ("group.almost_full", 3),
        ("group.joined", 4),
        ("group.succeeded", 5),
    ]
    mine = await shop.call(shop.login("bo"), "GET", f"/groupbuy/orders/{bo}")
    assert (mine["status"], mine["trade_order_id"], mine["group_status"]) == ("SUCCEEDED", bo, "SUCCEEDED")
    assert await settle(shop) == 0


async def test_a_group_that_is_not_full_in_time_fails_and_every_paid_member_gets_the_money_back(
    shop: Shop,
) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    bo = await shop.paid("bo", group_id)
    cy = (await shop.order("cy", group_id))["order_id"]
    shop.clock.advance(timedelta(seconds=3_600))
    assert await settle(shop) == 0  # the grace for late notifications
    shop.clock.advance(timedelta(seconds=16))
    assert await settle(shop) == 1
    assert (await shop.group(group_id))["fail_reason"] == "not_full_in_time"
    assert await shop.states(group_id, bo, cy) == [("REFUNDING", "PENDING_GROUP")] * 2 + [
        ("CANCELED", "CANCELED")
    ]
    assert await shop.pool() == (100, 0)
    for order_id in (group_id, bo):
        await shop.refunded(order_id)
    assert await shop.states(group_id, bo) == [("REFUNDED", "CLOSED")] * 2
    assert await shop.pool() == (100, 0)
    money = "SELECT count(*) FROM refund WHERE status = 'SUCCEEDED' AND cause = 'group_failed'"
    assert await shop.services.pool.fetchval(money) == 2


async def test_who_pays_after_the_slot_was_given_away_gets_the_money_back(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    late = await shop.order("bo", group_id)
    payment = await shop.start_payment("bo", late["order_id"])
    shop.clock.advance(timedelta(seconds=shop.services.settings.pay_timeout_s))
    assert await close(shop) == 0  # the grace
    shop.clock.advance(timedelta(seconds=16))
    assert await close(shop) == 1
    await shop.captured(payment)
    assert await shop.states(late["order_id"]) == [("CANCELED", "CANCELED")]
    causes = await shop.services.pool.fetch("SELECT cause FROM refund")
    assert [row["cause"] for row in causes] == ["late_payment"]
    assert (await shop.group(group_id))["members"] == 1


async def test_a_notification_within_the_grace_still_counts(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    order = await shop.order("bo", group_id)
    payment = await shop.start_payment("bo", order["order_id"])
    shop.clock.advance(timedelta(seconds=shop.services.settings.pay_timeout_s + 10))
    assert await close(shop) == 0
    await shop.captured(payment)
    assert await shop.states(order["order_id"]) == [("PAID", "PENDING_GROUP")]
    assert (await shop.group(group_id))["members_paid"] == 2


async def test_the_first_lapse_of_an_unpaid_slot_lets_go_of_the_stock_of_all(shop: Shop) -> None:
    await shop.open(stock=5)
    group_id = await shop.paid("ann", quantity=2)
    await shop.paid("bo", group_id)
    cy = await shop.order("cy", group_id, quantity=2)
    assert await shop.pool() == (5, 5)
    await shop.call(shop.login("cy"), "POST", f"/shopping/orders/{cy['order_id']}/cancel")
    assert await shop.pool() == (5, 0)
    await shop.audit()
    again = await shop.order("cy", group_id, quantity=2)
    assert (again["slot"], await shop.pool()) == (3, (5, 5))


async def test_before_every_join_the_stock_must_cover_the_members_so_far_and_the_new_one(shop: Shop) -> None:
    await shop.open(stock=5)
    group_id = await shop.paid("ann", quantity=3)
    refused = await shop.order("bo", group_id, quantity=3, status=409)
    assert refused["code"] == "out_of_stock"
    await shop.order("bo", group_id, quantity=2)
    assert (await shop.order("cy", group_id, status=409))["code"] == "out_of_stock"


async def test_each_member_holds_its_own_from_the_start(shop: Shop) -> None:
    await shop.open(stock=3, stock_policy="each_member")
    group_id = await shop.paid("ann")
    assert await shop.pool() == (3, 1)
    bo = (await shop.order("bo", group_id))["order_id"]
    assert await shop.pool() == (3, 2)
    await shop.call(shop.login("bo"), "POST", f"/shopping/orders/{bo}/cancel")
    assert await shop.pool() == (3, 1)
    assert (await shop.order("cy", group_id, quantity=3, status=409))["code"] == "out_of_stock"
    await shop.paid("bo", group_id)
    await shop.paid("cy", group_id)
    await settle(shop)
    assert (await shop.group(group_id))["status"] == "SUCCEEDED"
    assert await shop.pool() == (0, 0)


async def test_on_success_who_paid_last_loses_where_the_goods_do_not_suffice(shop: Shop) -> None:
    await shop.open(stock=4, stock_policy="on_success")
    first = [await shop.paid("ann")]
    second = [await shop.paid("dee")]
    first += [await shop.paid("bo", first[0]), await shop.paid("cy", first[0])]
    second += [await shop.paid("eve", second[0]), await shop.paid("flo", second[0])]
    assert await settle(shop) == 2
    assert await shop.states(*first) == [("SUCCEEDED", "PENDING_SHIPMENT")] * 3
    assert (
        await shop.states(*second)
        == [("SUCCEEDED", "PENDING_SHIPMENT")] + [("REFUNDING", "PENDING_GROUP")] * 2
    )
    assert await shop.pool() == (0, 0)
    await shop.refunded(second[1])
    await shop.refunded(second[2])
    assert await shop.pool() == (0, 0)


async def test_a_group_without_goods_for_anybody_fails(shop: Shop) -> None:
    await shop.open(stock=3, stock_policy="on_success")
    first = [await shop.paid("ann")]
    second = [await shop.paid("dee")]
    first += [await shop.paid("bo", first[0]), await shop.paid("cy", first[0])]
    second += [await shop.paid("eve", second[0]), await shop.paid("flo", second[0])]
    assert await settle(shop) == 2
    group = await shop.group(second[0])
    assert (group["status"], group["fail_reason"]) == ("FAILED", "out_of_stock")
    assert await shop.states(*second) == [("REFUNDING", "PENDING_GROUP")] * 3
    assert await shop.states(*first) == [("SUCCEEDED", "PENDING_SHIPMENT")] * 3
    told = await shop.services.pool.fetchrow(
        "SELECT payload FROM outbox WHERE topic = 'group.failed' AND aggregate_id = $1", int(second[0])
    )
    assert told is not None
    assert [each["order_id"] for each in told["payload"]["members"]] == second
    page = await shop.client.get(f"/g/{group['share_code']}")
    assert "There was nothing left for this group." in page.text


async def test_a_full_group_whose_goods_went_with_its_withdrawn_campaign_fails(shop: Shop) -> None:
    await shop.open(stock_policy="on_success")
    group_id = await shop.paid("ann")
    for buyer in ("bo", "cy"):
        await shop.paid(buyer, group_id)
    path = f"/op/campaigns/{shop.campaign['campaign_id']}/withdraw"
    await shop.call(shop.op, "POST", path, {"reason": "a wrong price"})
    assert await settle(shop) == 1
    assert (await shop.group(group_id))["fail_reason"] == "out_of_stock"


async def test_a_group_may_come_about_with_fewer_where_the_campaign_says_so(shop: Shop) -> None:
    await shop.open(complete_from_bp=6_000)
    group_id = await shop.paid("ann")
    bo = await shop.paid("bo", group_id)
    alone = await shop.paid("cy")
    shop.clock.advance(timedelta(seconds=3_616))
    assert await settle(shop) == 2
    group = await shop.group(group_id)
    assert (group["status"], group["completed_short"], group["members_paid"]) == ("SUCCEEDED", True, 2)
    assert await shop.states(group_id, bo, alone) == [
        ("SUCCEEDED", "PENDING_SHIPMENT"),
        ("SUCCEEDED", "PENDING_SHIPMENT"),
        ("REFUNDING", "PENDING_GROUP"),
    ]
    assert await shop.pool() == (98, 0)


async def test_a_withdrawn_campaigns_groups_fail_but_a_full_one_succeeds(shop: Shop) -> None:
    await shop.open()
    half = await shop.paid("ann")
    full = await shop.paid("bo")
    for buyer in ("cy", "dee"):
        await shop.paid(buyer, full)
    path = f"/op/campaigns/{shop.campaign['campaign_id']}/withdraw"
    await shop.call(shop.op, "POST", path, {"reason": "fake"})
    assert await settle(shop) == 2
    assert (await shop.group(full))["status"] == "SUCCEEDED"
    assert (await shop.group(half))["fail_reason"] == "campaign_withdrawn"
    assert (await shop.order("eve", status=409))["code"] == "activity_not_open"


async def test_paid_for_a_start_that_can_no_longer_be_goes_back(shop: Shop) -> None:
    await shop.open()
    order = await shop.order("ann")
    payment = await shop.start_payment("ann", order["order_id"])
    await shop.call(
        shop.op, "POST", f"/op/campaigns/{shop.campaign['campaign_id']}/withdraw", {"reason": "fake"}
    )
    await shop.captured(payment)
    assert await settle_strays(shop.services, shop.clock.now(), 10) == 1
    assert await shop.states(order["order_id"]) == [("REFUNDING", "PENDING_GROUP")]
    await shop.refunded(order["order_id"])
    assert await shop.states(order["order_id"]) == [("REFUNDED", "CLOSED")]


async def test_what_cannot_be_is_refused_and_changes_nothing(shop: Shop) -> None:
    await shop.open(per_order_max=2, per_buyer_max=3, groups_at_once_max=2)
    group_id = await shop.paid("ann")
    await shop.paid("bo", group_id)
    refusals = [
        await shop.order("ann", group_id, status=409),
        await shop.order("cy", group_id, quantity=3, payable_minor=3 * PRICE_MINOR, status=409),
        await shop.order("cy", group_id, payable_minor=PRICE_MINOR - 1, status=409),
        await shop.order("cy", "123", status=404),
        await shop.order("cy", campaign_item_id="123", status=404),
    ]
    assert [each["code"] for each in refusals] == [
        "already_member",
        "purchase_limit_exceeded",
        "price_changed",
        "group_not_found",
        "campaign_item_not_found",
    ]
    assert (refusals[1]["per_order_max"], "per_buyer_max" in refusals[1]) == (2, False)
    assert refusals[2]["payable_minor"] == PRICE_MINOR
    await shop.order("cy", quantity=2)
    too_much = await shop.order("cy", quantity=2, status=409)
    assert (too_much["code"], too_much["per_buyer_max"]) == ("purchase_limit_exceeded", 3)
    await shop.order("cy")
    assert (await shop.order("cy", status=409))["code"] in ("too_many_groups", "purchase_limit_exceeded")
    await shop.order("dee", group_id)
    assert (await shop.order("eve", group_id, status=409))["code"] == "group_full"
    shop.clock.advance(timedelta(seconds=3_600))
    assert (await shop.order("eve", group_id, status=409))["code"] == "group_over"
    assert (await shop.group(group_id))["members"] == 3
    shop.clock.advance(timedelta(seconds=60))
    assert await close(shop) == 3
    await settle(shop)


async def test_one_key_is_one_order(shop: Shop) -> None:
    await shop.open()
    first = await shop.order("ann", key="once")
    assert await shop.order("ann", key="once") == first
    other = await shop.order("ann", quantity=2, key="once", status=422)
    assert other["code"] == "idempotency_key_reused"
    together = await asyncio.gather(*[shop.order("bo", key="same") for _ in range(5)])
    assert len({each["order_id"] for each in together}) == 1
    assert await shop.services.pool.fetchval("SELECT count(*) FROM group_order") == 2


async def test_fifty_buyers_for_the_last_slot_of_a_group(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    await shop.paid("bo", group_id)
    body = shop.order_body(group_id)
    answers = await asyncio.gather(
        *[
            shop.client.post(
                "/groupbuy/orders", json=body, headers=shop.login(f"b{n}") | {"Idempotency-Key": "k"}
            )
            for n in range(50)
        ]
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"group_full"}


async def test_a_paid_member_waits_and_cannot_take_the_money_out_of_the_group(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    refused = await shop.call(shop.login("ann"), "POST", "/refund/refund", {"order_id": group_id}, 409)
    assert refused["code"] == "order_not_refundable"
    await shop.call(shop.login("ann"), "POST", f"/shopping/orders/{group_id}/cancel", status=409)


async def test_a_trade_order_is_refunded_like_any_other(shop: Shop) -> None:
    await shop.open(stock=3)
    group_id = await shop.paid("ann")
    orders = [group_id, await shop.paid("bo", group_id), await shop.paid("cy", group_id)]
    await settle(shop)
    await shop.call(shop.login("bo"), "POST", "/refund/refund", {"order_id": orders[1]}, 202)
    await shop.refunded(orders[1])
    assert await shop.states(*orders) == [
        ("SUCCEEDED", "PENDING_SHIPMENT"),
        ("SUCCEEDED", "CLOSED"),
        ("SUCCEEDED", "PENDING_SHIPMENT"),
    ]
    assert await shop.pool() == (1, 0)


async def test_a_buyer_sees_the_own_group_orders_only(shop: Shop) -> None:
    await shop.open()
    first = await shop.paid("ann")
    second = (await shop.order("ann"))["order_id"]
    page = await shop.call(shop.login("ann"), "GET", "/groupbuy/orders?limit=1")
    assert [each["order_id"] for each in page["items"]] == [second]
    rest = await shop.call(shop.login("ann"), "GET", f"/groupbuy/orders?cursor={page['next_cursor']}")
    assert [(each["order_id"], each["status"]) for each in rest["items"]] == [(first, "PAID")]
    await shop.call(shop.login("bo"), "GET", f"/groupbuy/orders/{first}", status=404)
    await shop.call({}, "GET", "/groupbuy/groups/1", status=404)


async def test_a_loser_whose_money_is_only_authorized_gets_it_back_once_it_is_taken(shop: Shop) -> None:
    await shop.open(stock=2, stock_policy="on_success")
    group_id = await shop.paid("ann")
    await shop.paid("bo", group_id)
    loser = await shop.paid("cy", group_id)
    due = "UPDATE pay_order SET status = $2, captured_minor = $3 WHERE order_id = $1"
    await shop.services.pool.execute(due, int(loser), "AUTHORIZED", 0)
    assert await settle(shop) == 1
    assert await shop.states(loser) == [("PAID", "PENDING_GROUP")]
    assert await settle_strays(shop.services, shop.clock.now(), 10) == 0
    await shop.services.pool.execute(due, int(loser), "PAID", PRICE_MINOR)
    assert await settle_strays(shop.services, shop.clock.now(), 10) == 1
    assert await shop.states(loser) == [("REFUNDING", "PENDING_GROUP")]


async def test_a_group_that_ends_with_its_campaign_may_still_come_about_from_the_campaigns_stock(
    shop: Shop,
) -> None:
    ends_at = shop.clock.now() + timedelta(seconds=600)
    await shop.open(complete_from_bp=6_000, ends_at=ends_at.isoformat())
    group_id = await shop.paid("ann")
    bo = await shop.paid("bo", group_id)
    shop.clock.advance(timedelta(seconds=616))
    assert await end_due(shop.services, shop.clock.now(), 10) == 0  # its group is not settled
    assert await settle(shop) == 1
    assert await shop.states(group_id, bo) == [("SUCCEEDED", "PENDING_SHIPMENT")] * 2
    assert await end_due(shop.services, shop.clock.now(), 10) == 1
    assert await shop.pool() == (0, 0)


async def test_who_had_nothing_to_pay_has_nothing_to_get_back_and_does_not_wait(shop: Shop) -> None:
    await shop.open(sale_price_minor=0)
    group_id = (await shop.order("ann", payable_minor=0))["order_id"]
    await shop.call(
        shop.login("ann"), "POST", f"/shopping/orders/{group_id}/payments", {"channel": "sandbox"}, 201
    )
    late = (await shop.order("bo", payable_minor=0))["order_id"]
    path = f"/op/campaigns/{shop.campaign['campaign_id']}/withdraw"
    await shop.call(shop.op, "POST", path, {"reason": "fake"})
    await shop.call(
        shop.login("bo"), "POST", f"/shopping/orders/{late}/payments", {"channel": "sandbox"}, 201
    )
    assert await settle(shop) == 1
    assert await settle_strays(shop.services, shop.clock.now(), 10) == 1
    assert await shop.states(group_id, late) == [("REFUNDED", "CLOSED")] * 2
    assert await shop.services.pool.fetchval("SELECT sum(amount_minor) FROM refund") == 0


async def test_a_group_in_trouble_waits_a_minute_and_holds_no_other_up(shop: Shop) -> None:
    await shop.open()
    groups = []
    for n in range(3):
        group_id = await shop.paid(f"ann-{n}")
        groups.append([group_id, await shop.paid("bo", group_id), await shop.paid("cy", group_id)])
    other = int((await shop.order("dee"))["order_id"])
    # Another order claims to be the trade order of one of the members.
    claim = "UPDATE orders SET out_type = $2, out_id = $3 WHERE order_id = $1"
    await shop.services.pool.execute(claim, other, "group_order", int(groups[1][2]))
    assert await settle(shop) == 3
    assert await shop.states(*groups[0], *groups[2]) == [("SUCCEEDED", "PENDING_SHIPMENT")] * 6
    assert await shop.states(*groups[1]) == [("PAID", "PENDING_GROUP")] * 3
    await shop.services.pool.execute(claim, other, None, None)
    assert await settle(shop) == 0
    shop.clock.advance(timedelta(seconds=61))
    assert await settle(shop) == 1
    assert await shop.states(*groups[1]) == [("SUCCEEDED", "PENDING_SHIPMENT")] * 3


async def test_who_paid_first_has_the_goods_also_where_groups_end_in_one_batch(shop: Shop) -> None:
    await shop.open(stock=4, stock_policy="on_success")
    early, late = await shop.paid("ann"), await shop.paid("dee")
    last = [await shop.paid("eve", late), await shop.paid("bo", early)]
    shop.clock.advance(timedelta(seconds=1))
    last += [await shop.paid("flo", late)]
    shop.clock.advance(timedelta(seconds=1))
    last += [await shop.paid("cy", early)]
    assert await settle(shop) == 2
    assert await shop.states(late, last[0], last[2]) == [("SUCCEEDED", "PENDING_SHIPMENT")] * 3
    assert await shop.states(early, last[1], last[3]) == [
        ("SUCCEEDED", "PENDING_SHIPMENT"),
        ("REFUNDING", "PENDING_GROUP"),
        ("REFUNDING", "PENDING_GROUP"),
    ]


async def test_a_seller_takes_nothing_off_the_price_that_all_of_a_group_pay(shop: Shop) -> None:
    await shop.open()
    order_id = (await shop.order("ann"))["order_id"]
    path = f"/admin/orders/{order_id}/price_change"
    for staff in (shop.merchant, shop.op):
        refused = await shop.call(staff, "POST", path, {"amount_minor": 100, "reason": "a friend"}, 409)
        assert refused["code"] == "price_not_changeable"
    assert (await shop.call(shop.login("ann"), "GET", f"/groupbuy/orders/{order_id}"))[
        "payable_minor"
    ] == PRICE_MINOR
