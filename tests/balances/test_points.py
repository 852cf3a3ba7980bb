"""Points over HTTP: rules, grants, the balance and its entries, and what time takes away."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from app.points.expire import expire_points
from tests.auditing import assert_audit_clean
from tests.balances.calls import RULES, Operator
from tests.balances.conftest import Holds
from tests.balances.shop import Shop
from tests.conftest import Login


async def balance(client: httpx.AsyncClient, headers: dict[str, str]) -> dict[str, Any]:
    answer = await client.get("/points/balance", headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_without_rules_points_are_neither_earned_nor_taken(op: Operator) -> None:
    shown = (await op.client.get("/admin/points_rules", headers=op.headers)).json()
    assert shown == {"currencies": {}, "cap_bp": 10_000, "valid_days": 365, "pays_charges": False}


async def test_rules_read_back_and_are_an_operators(op: Operator, login: Login) -> None:
    await op.points_rules()
    await op.points_rules()
    assert (await op.client.get("/admin/points_rules", headers=op.headers)).json() == RULES
    for headers in (login(), login("m", "merchant", "7")):
        refused = await op.client.put("/admin/points_rules", json=RULES, headers=headers)
        assert refused.status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"currencies": {"XYZ": {"earn_bp": 1}}},
        {"currencies": {"CNY": {"earn_bp": -1}}},
        {"currencies": {"CNY": {"minor_per_point": 0}}},
        {"currencies": {"CNY": {"minor_per_point": 0.5}}},
        {"cap_bp": 10_001},
        {"valid_days": 0},
        {"surprise": 1},
    ],
)
async def test_rules_that_cannot_be_are_refused(op: Operator, change: dict[str, Any]) -> None:
    assert (await op.put("/admin/points_rules", **RULES | change)).status_code == 400
    assert (await op.client.get("/admin/points_rules", headers=op.headers)).json()["currencies"] == {}


async def test_a_grant_gives_each_buyer_its_points_once_a_key(
    op: Operator, services: Services, login: Login, holds: Holds
) -> None:
    first = await op.grant(500, "42", "43", key="k")
    assert (first.status_code, first.json()["user_count"], first.json()["points"]) == (200, 2, 500)
    again = await asyncio.gather(*(op.grant(500, "42", "43", key="k") for _ in range(3)))
    assert {each.text for each in again} == {first.text}
    other = await op.grant(600, "42", key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (await balance(op.client, login("43")))["available"] == 500
    assert (await balance(op.client, login("44")))["available"] == 0
    assert (await holds("points:42"), await holds("issued:points")) == (500, -1_000)
    await assert_audit_clean(services)


async def test_a_grant_without_key_right_or_sense_gives_nothing(
    op: Operator, client: httpx.AsyncClient, login: Login, holds: Holds
) -> None:
    body = {"user_ids": ["42"], "points": 5}
    keyless = await client.post("/admin/points/grants", json=body, headers=op.headers)
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_missing")
    merchant = login("m", "merchant", "7") | {"idempotency-key": "k"}
    assert (await client.post("/admin/points/grants", json=body, headers=merchant)).status_code == 403
    assert (await op.grant(0)).status_code == 400
    assert (await op.grant(5, "42", "42")).status_code == 400
    assert await holds("issued:points") == 0


async def test_entries_say_what_changed_the_newest_first(op: Operator, login: Login) -> None:
    for points in (100, 200, 300):
        await op.grant(points)
    page = (await op.client.get("/points/entries?limit=2", headers=login())).json()
    shown = [(each["kind"], each["points"], each["balance_after"]) for each in page["items"]]
    assert shown == [("points_granted", 300, 600), ("points_granted", 200, 300)]
    rest = (await op.client.get(f"/points/entries?cursor={page['next_cursor']}", headers=login())).json()
    assert [each["points"] for each in rest["items"]] == [100]
    assert (await op.client.get("/points/entries", headers=login("43"))).json()["items"] == []


async def test_points_end_with_their_lot_and_cannot_be_spent_from_that_moment(
    op: Operator, services: Services, login: Login, clock: OffsetClock, holds: Holds
) -> None:
    await op.grant(100, valid_days=1)
    await op.grant(200, valid_days=2)
    await op.grant(400)
    shown = await balance(op.client, login())
    assert (shown["available"], [each["points"] for each in shown["ending"]]) == (700, [100, 200, 400])
    clock.advance(timedelta(days=2, seconds=1))
    assert (await balance(op.client, login()))["available"] == 400
    assert await expire_points(services, services.clock.now(), 1) == 1
    assert await holds("points:42") == 600
    assert await expire_points(services, services.clock.now(), 10) == 1
    assert await expire_points(services, services.clock.now(), 10) == 0
    assert (await holds("points:42"), await holds("expired:points")) == (400, 300)
    await assert_audit_clean(services)


async def test_several_workers_end_points_once(
    op: Operator, services: Services, clock: OffsetClock, holds: Holds
) -> None:
    await op.grant(100, "42", "43", "44", valid_days=1)
    clock.advance(timedelta(days=2))
    await asyncio.gather(*(expire_points(services, services.clock.now(), 10) for _ in range(4)))
    assert await holds("expired:points") == 300
    await assert_audit_clean(services)


async def test_the_dearest_order_at_the_highest_rate_earns_what_fits_and_is_placed(
    op: Operator, shop: Shop, services: Services
) -> None:
    await op.points_rules(currencies={"CNY": {"earn_bp": 100_000}})
    dear = {"CNY": {"price_minor": 10**12}}
    skus = [{"sku_id": f"d{n}", "prices": dear} for n in range(100)]
    item = {"shop_id": "7", "title": "Dear", "item_type": "virtual", "skus": skus}
    assert (await op.put("/admin/items/dear", **item)).status_code == 200
    await services.pool.execute("UPDATE stock_pool SET on_hand = 9999, version = version + 1")
    lines = [(f"d{n}", 9_999) for n in range(100)]
    summary = await shop.price(*lines)
    assert (summary["payable_minor"], summary["points_earned"]) == (9_999 * 10**14, 10**18)
    placed = await shop.try_place(*lines, payable_minor=summary["payable_minor"])
    assert placed.status_code == 201, placed.text
