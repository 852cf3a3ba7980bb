"""Orders that take points, cards and packets: frozen when placed, spent when paid, back when canceled."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest

from app.balances import claim
from app.bootstrap import Services, open_services
from app.checkout.draft import draft_checkout
from app.checkout.errors import BalanceTooLow
from app.checkout.ledger import place_batch
from app.checkout.place import CALL
from app.checkout.schemas import Checkout
from app.http import create_app
from app.lib.clock import OffsetClock
from app.lib.idempotency import Answer, identify
from app.lib.postgres import transaction
from app.orders.close import close_due
from app.points.expire import expire_points
from app.pricing.cart import price_cart
from app.pricing.schemas import CartLine, CheckoutRequest
from app.red_packets.expire import expire_red_packets
from app.settings import Settings
from tests.auditing import assert_audit_clean
from tests.balances.calls import Operator
from tests.balances.conftest import Holds
from tests.balances.shop import Shop
from tests.conftest import Login

TWO = ("a", 1), ("b", 1)
FREE_POINTS = {"cap_bp": 10_000}


async def test_points_are_frozen_with_the_order_and_spent_when_it_is_paid(
    op: Operator, shop: Shop, services: Services, holds: Holds
) -> None:
    await op.points_rules()
    await op.grant(600)
    order = await shop.place(*TWO, points=500)
    assert order["payable_minor"] == 1_000
    assert await shop.points() == {"available": 100, "frozen": 500, "owed": 0}
    assert (await holds("points:42"), await holds("frozen:points")) == (100, 500)
    await assert_audit_clean(services)
    await shop.pay(order)
    # 1 % of the 10.00 paid in money
    assert await shop.points() == {"available": 110, "frozen": 0, "owed": 0}
    assert (await holds("frozen:points"), await holds("spent:points")) == (0, 500)
    detail = (await shop.client.get(f"/shopping/orders/{order['order_id']}", headers=shop.headers)).json()
    assert (detail["points_discount_minor"], detail["payable_minor"]) == (500, 1_000)
    assert (detail["points_used"], detail["points_earned"]) == (500, 10)
    assert [each["discounts"][0]["amount_minor"] for each in detail["shops"][0]["lines"]] == [333, 167]
    await assert_audit_clean(services)


async def test_one_order_combines_all_three_over_two_shops(
    op: Operator, shop: Shop, services: Services, holds: Holds
) -> None:
    await op.points_rules()
    await op.grant(300)
    first, second = await op.cards(200, count=2)
    await op.pool(funds_minor=1_000)
    packet_id = await op.packet(250)
    codes = [first["code"], second["code"]]
    asked = {"points": 300, "gift_card_codes": codes, "red_packet_id": packet_id}
    order = await shop.place(("a", 1), ("c", 1), **asked)
    assert (order["payable_minor"], len(order["orders"])) == (1_300 - 300 - 250 - 400, 2)
    await assert_audit_clean(services)
    await shop.pay(order)
    assert (await shop.card(codes[0]), await shop.card(codes[1]), await shop.packets()) == (0, 0, ["used"])
    assert (await holds("spent:red_packet"), await holds("spent:gift_card")) == (250, 400)
    assert await holds("red_packet_pool:spring") == 750
    await assert_audit_clean(services)


async def test_a_canceled_order_gives_everything_back_where_it_was(
    op: Operator, shop: Shop, services: Services, holds: Holds
) -> None:
    await op.points_rules()
    await op.grant(100, valid_days=1)
    await op.grant(200)
    (card,) = await op.cards(400)
    await op.pool(funds_minor=1_000)
    asked = {"points": 250, "gift_card_codes": [card["code"]], "red_packet_id": await op.packet(250)}
    lots = "SELECT array_agg(remaining ORDER BY expires_at) FROM points_lot"
    order = await shop.place(*TWO, **asked)
    assert await services.pool.fetchval(lots) == [0, 50]
    assert (await shop.card(card["code"]), await shop.packets()) == (0, ["locked"])
    await shop.cancel(order)
    assert await services.pool.fetchval(lots) == [100, 200]
    assert (await shop.card(card["code"]), await shop.packets()) == (400, ["available"])
    assert {await holds(f"frozen:{kind}") for kind in ("points", "red_packet", "gift_card")} == {0}
    await assert_audit_clean(services)
    again = await shop.place(*TWO, **asked)
    await shop.cancel(again)
    assert await services.pool.fetchval(lots) == [100, 200]
    await assert_audit_clean(services)


async def test_what_ended_while_an_order_held_it_ends_once_it_is_back(
    op: Operator, shop: Shop, services: Services, clock: OffsetClock, holds: Holds
) -> None:
    await op.points_rules()
    await op.grant(300, valid_days=1)
    await op.pool(funds_minor=250)
    packet_id = await op.packet(250, valid_days=1)
    clock.advance(timedelta(days=1, minutes=-1))
    await shop.place(*TWO, points=300, red_packet_id=packet_id)
    clock.advance(timedelta(minutes=20))
    assert await expire_points(services, clock.now(), 10) == 0
    assert await expire_red_packets(services, clock.now(), 10) == 0
    assert await close_due(services, clock.now(), 10) == 1
    assert await shop.points() == {"available": 0, "frozen": 0, "owed": 0}
    assert await expire_points(services, clock.now(), 10) == 1
    assert await expire_red_packets(services, clock.now(), 10) == 1
    assert (await holds("expired:points"), await holds("red_packet_pool:spring")) == (300, 250)
    await assert_audit_clean(services)


async def test_what_a_packet_has_too_much_goes_back_to_its_pool_when_the_order_is_paid(
    op: Operator, shop: Shop, services: Services, holds: Holds
) -> None:
    await op.pool(funds_minor=1_000)
    order = await shop.place(("c", 1), red_packet_id=await op.packet(500))
    assert (order["payable_minor"], order["status"]) == (0, "PENDING_SHIPMENT")
    assert (await holds("spent:red_packet"), await holds("red_packet_pool:spring")) == (300, 700)
    await assert_audit_clean(services)


async def test_an_order_that_comes_to_nothing_is_placed_and_paid_at_once(
    op: Operator, shop: Shop, services: Services
) -> None:
    await op.points_rules(**FREE_POINTS)
    await op.grant(5_000)
    order = await shop.place(*TWO, points=1_500)
    assert (order["status"], order["payable_minor"]) == ("PENDING_SHIPMENT", 0)
    row = await services.pool.fetchrow(
        "SELECT o.status, p.status AS due FROM orders o JOIN pay_order p USING (order_id)"
    )
    assert tuple(row) == ("PENDING_SHIPMENT", "PAID")
    topics = await services.pool.fetch("SELECT topic, aggregate_version FROM outbox ORDER BY event_id")
    assert [tuple(topic) for topic in topics] == [("order.placed", 1), ("order.paid", 2)]
    stock = await services.pool.fetch("SELECT on_hand, reserved FROM stock_pool ORDER BY sku_id")
    assert [tuple(each) for each in stock] == [(99, 0), (99, 0), (100, 0)]
    split = await shop.place(("a", 1), ("c", 1), points=1_300)
    assert (split["status"], split["payable_minor"]) == ("INVALID", 0)
    assert await shop.points() == {"available": 2_200, "frozen": 0, "owed": 0}
    await assert_audit_clean(services)


async def test_a_free_order_repeated_with_its_key_is_one_order(
    op: Operator, shop: Shop, services: Services
) -> None:
    (card,) = await op.cards(5_000)
    asked = {"payable_minor": 0, "key": "k", "gift_card_codes": [card["code"]]}
    answers = await asyncio.gather(*(shop.try_place(("a", 1), **asked) for _ in range(5)))
    assert {(each.status_code, each.text) for each in answers} == {(201, answers[0].text)}
    late = await shop.try_place(("a", 1), **asked)
    assert (late.status_code, late.text) == (201, answers[0].text)
    assert late.headers["idempotent-replayed"] == "true"
    assert await shop.card(card["code"]) == 4_000
    await assert_audit_clean(services)


async def test_goods_reserved_only_when_paid_are_taken_at_once_by_a_free_order(
    op: Operator, shop: Shop, services: Services
) -> None:
    await services.pool.execute("UPDATE sku SET reserve_on = 'pay', version = version + 1000")
    await services.pool.execute("UPDATE snapshot_version SET version = version + 2000 WHERE name = 'catalog'")
    await services.prices.refresh()
    (card,) = await op.cards(500_000)
    await shop.place(("a", 60), gift_card_codes=[card["code"]])
    refused = await shop.try_place(("a", 60), payable_minor=0, gift_card_codes=[card["code"]])
    assert (refused.status_code, refused.json()["code"]) == (409, "out_of_stock")
    assert await shop.card(card["code"]) == 440_000
    await assert_audit_clean(services)


async def test_fifty_orders_at_once_on_two_servers_spend_one_balance_once(
    op: Operator, shop: Shop, services: Services, settings: Settings, holds: Holds
) -> None:
    await op.points_rules(**FREE_POINTS)
    await op.grant(1_000)
    (card,) = await op.cards(800)
    await op.pool(funds_minor=1_000)
    packet_id = await op.packet(50)
    async with AsyncExitStack() as closing:
        other = create_app(settings)
        other.bind(await closing.enter_async_context(open_services(settings, name="other")))
        transport = httpx.ASGITransport(app=other)
        client = await closing.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://other.test")
        )
        second = Shop(services, client, shop.headers)
        asked = {"points": 100, "gift_card_codes": [card["code"]]}
        orders = [
            server.try_place(("c", 1), payable_minor=0, **asked)
            for server in (shop, second)
            for _ in range(20)
        ]
        orders += [
            server.try_place(("c", 1), payable_minor=250, red_packet_id=packet_id)
            for server in (shop, second)
            for _ in range(5)
        ]
        answers = await asyncio.gather(*orders)
    assert {each.status_code for each in answers} == {201, 409}
    codes = {each.json()["code"] for each in answers if each.status_code == 409}
    assert codes <= {"balance_too_low", "price_changed"}
    # each takes 100 points and 2.00 of the card, which has 8.00; and the packet is one
    placed = [each.json()["payable_minor"] for each in answers if each.status_code == 201]
    assert sorted(placed) == [0] * 4 + [250]
    assert (await holds("points:42"), await holds(f"gift_card:{card['card_id']}")) == (600, 0)
    await assert_audit_clean(services)


async def test_orders_of_one_batch_see_what_the_ones_before_them_took(
    op: Operator, shop: Shop, services: Services, login: Login
) -> None:
    (card,) = await op.cards(700)
    friend = Shop(services, shop.client, login("43"))
    asked = {"payable_minor": 0, "gift_card_codes": [card["code"]]}
    answers = await asyncio.gather(
        *(each.try_place(("c", 1), **asked) for each in (shop, friend, shop, friend))
    )
    refused = [each for each in answers if each.status_code == 409]
    assert len(refused) == 2
    assert await shop.card(card["code"]) == 100
    await assert_audit_clean(services)


async def draft(services: Services, code: str) -> Checkout:
    """One c for 3.00 of a card, ready for the ledger."""
    body = CheckoutRequest("CNY", [CartLine("c", 1)], gift_card_codes=[code], payable_minor=0)
    now = services.clock.now()
    return draft_checkout(
        identify(CALL, "42", "k", body),
        body,
        await price_cart(services, "42", body, None),
        None,
        created_at=now,
        pay_deadline=now,
        next_id=services.ids.next,
    )


async def test_a_free_order_whose_commit_was_told_to_nobody_is_sent_again_and_takes_nothing_twice(
    op: Operator, shop: Shop, services: Services
) -> None:
    """The committer sends the very same checkout again when it does not hear of a commit."""
    (card,) = await op.cards(1_000)
    checkout = await draft(services, card["code"])
    (first,) = (await place_batch(services.pool, [checkout])).outcomes
    (again,) = (await place_batch(services.pool, [checkout])).outcomes
    assert isinstance(first, Answer)
    assert (first.status, again) == (201, first)
    assert await shop.card(card["code"]) == 700
    assert await services.pool.fetchval("SELECT array_agg(status) FROM orders") == ["PENDING_SHIPMENT"]
    assert await services.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'order.paid'") == 1
    await assert_audit_clean(services)


async def test_the_next_checkout_of_a_batch_sees_what_is_left(
    op: Operator, shop: Shop, services: Services
) -> None:
    (card,) = await op.cards(700)
    checkouts = [await draft(services, card["code"]) for _ in range(3)]
    async with transaction(services.pool) as connection:
        locked = await claim.lock(connection, checkouts)
    refusals = []
    for checkout in checkouts:
        refusals.append(claim.refuse(checkout, locked))
        if refusals[-1] is None:
            claim.take(checkout, locked)
    assert [refusal is None for refusal in refusals] == [True, True, False]


CHANGES = {
    "used up": "UPDATE balance SET amount = 299 WHERE account LIKE 'gift_card:%'",
    "ended": "UPDATE gift_card SET expires_at = now() - interval '1 minute'",
    "gone": "DELETE FROM balance",
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_card_that_changed_since_it_was_priced_refuses_the_order_and_nothing_changes(
    op: Operator, shop: Shop, services: Services, change: str
) -> None:
    (card,) = await op.cards(300)
    checkout = await draft(services, card["code"])
    await services.pool.execute(CHANGES[change])
    (refused,) = (await place_batch(services.pool, [checkout])).outcomes
    assert isinstance(refused, BalanceTooLow)
    assert refused.problem()["short"] == [{"kind": "gift_card", "rule_id": card["card_id"]}]
    for table in ("orders", "order_deduction", "outbox"):
        assert await services.pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    kept = "SELECT count(*) FROM idempotency WHERE digest = $1"
    assert await services.pool.fetchval(kept, checkout.once.digest) == 0


async def test_somebody_elses_packet_and_points_are_not_ones_own(
    op: Operator, shop: Shop, services: Services, login: Login
) -> None:
    await op.points_rules()
    await op.grant(500)
    await op.pool(funds_minor=1_000)
    packet_id = await op.packet(100)
    stranger = Shop(services, shop.client, login("43"))
    summary = await stranger.price(*TWO, points=100, red_packet_id=packet_id)
    assert summary["payable_minor"] == 1_500
    assert [(each["kind"], each["code"]) for each in summary["rejected"]] == [
        ("points", "balance_too_low"),
        ("red_packet", "not_found"),
    ]
