"""A quote holds for points and cards as for money: they do not pay in silence for a price that has risen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from tests.auditing import assert_audit_clean
from tests.balances.calls import Operator
from tests.balances.shop import Shop

HALF = {"name": "Half", "lane": "shop", "effect": {"kind": "percent_off", "percent_bp": 5_000}}
A = ("a", 1)


@pytest.fixture
async def paid_by_card(op: Operator, shop: Shop) -> dict[str, Any]:
    """What is bought for 5.00 that a card of 20.00 pays; a moment later it costs 10.00."""
    await op.put("/admin/promotions/p", **HALF)
    (card,) = await op.cards(2_000)
    asked = {"gift_card_codes": [card["code"]]}
    summary = await shop.price(A, **asked)
    assert (summary["payable_minor"], summary["gift_card_minor"]) == (0, 500)
    await op.put("/admin/promotions/p", **HALF | {"enabled": False})
    return asked | {"quote_id": summary["quote_id"]}


async def test_a_card_pays_what_was_quoted_though_its_rule_has_gone(
    shop: Shop, services: Services, paid_by_card: dict[str, Any]
) -> None:
    placed = await shop.try_place(A, payable_minor=0, **paid_by_card)
    assert placed.status_code == 201, placed.text
    assert await shop.card(paid_by_card["gift_card_codes"][0]) == 1_500
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_what_was_quoted_too_long_ago_is_not_taken_off_a_card_in_silence(
    shop: Shop, services: Services, clock: OffsetClock, paid_by_card: dict[str, Any]
) -> None:
    clock.advance(timedelta(seconds=services.settings.quote_ttl_s + 1))
    refused = await shop.try_place(A, payable_minor=0, **paid_by_card)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert refused.json()["detail"] == "it costs more of points, cards or coupons than was quoted"
    changed = {(each["field"], each.get("kind")): each for each in refused.json()["difference"]}
    paid = changed["discount_minor", "gift_card"]
    assert (paid["was_minor"], paid["now_minor"]) == (500, 1_000)
    assert await services.pool.fetchval("SELECT count(*) FROM orders") == 0
    again = paid_by_card | {"quote_id": refused.json()["summary"]["quote_id"]}
    assert (await shop.try_place(A, payable_minor=0, **again)).status_code == 201
    assert await shop.card(paid_by_card["gift_card_codes"][0]) == 1_000


async def test_points_and_a_price_that_has_fallen_cost_the_buyer_less(op: Operator, shop: Shop) -> None:
    await op.points_rules(cap_bp=10_000)
    await op.grant(2_000)
    summary = await shop.price(A, points=2_000)
    assert (summary["payable_minor"], summary["points_used"]) == (0, 1_000)
    await op.put("/admin/promotions/p", **HALF)
    placed = await shop.try_place(A, payable_minor=0, points=2_000, quote_id=summary["quote_id"])
    assert placed.status_code == 201, placed.text
    assert (await shop.points())["available"] == 1_500


async def test_a_lost_quote_leaves_the_money_alone_to_compare(
    shop: Shop, services: Services, paid_by_card: dict[str, Any]
) -> None:
    await services.quotes.stop()
    await services.valkey.command("FLUSHALL")
    assert (await shop.try_place(A, payable_minor=0, **paid_by_card)).status_code == 201
    assert await shop.card(paid_by_card["gift_card_codes"][0]) == 1_000
