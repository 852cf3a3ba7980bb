"""`POST /event/group_update`: an outside system ends a group early, or has it looked at again; harmlessly."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec

from app.events_in.apply import apply_waiting_events
from app.events_in.signature import sign
from app.groups.keys import gate_keys
from app.groups.settle import settle_due
from tests.groups.conftest import Shop
from tests.sandbox.process import SECRET


async def tell(
    shop: Shop, group_id: str, event_id: str | None = None, answers: int = 200, **data: Any
) -> Any:
    now = shop.clock.now()
    event = {"event_id": event_id or uuid4().hex, "type": "group_update", "occurred_at": now}
    body = msgspec.json.encode(event | {"data": {"group_id": group_id} | data})
    headers = {"X-Signature": sign(SECRET, body, int(now.timestamp())), "Content-Type": "application/json"}
    answer = await shop.client.post("/event/group_update", content=body, headers=headers)
    assert answer.status_code == answers, answer.text
    return answer.json()


async def notes(shop: Shop) -> list[str]:
    rows = await shop.services.pool.fetch(
        "SELECT note FROM inbound_event WHERE type = 'group_update' ORDER BY received_at"
    )
    return [row["note"] for row in rows]


async def settle_after(shop: Shop, seconds: int) -> int:
    shop.clock.advance(timedelta(seconds=seconds))
    return await settle_due(shop.services, shop.clock.now(), 10)


async def test_a_group_that_is_told_to_fail_takes_nobody_any_more_and_fails_after_the_grace(
    shop: Shop,
) -> None:
    await shop.open(complete_from_bp=3_000)  # not even with fewer members
    group_id = await shop.paid("ann")
    bo = await shop.order("bo", group_id)
    payment = await shop.start_payment("bo", bo["order_id"])
    assert (await tell(shop, group_id, status="failed", reason="the shop has closed"))["status"] == "APPLIED"
    refused = await shop.order("cy", group_id, status=409)
    assert (refused["code"], refused["group_status"]) == ("group_over", "OPEN")
    assert await settle_after(shop, 14) == 0
    await shop.captured(payment)  # paid in time, told a little later
    assert await settle_after(shop, 2) == 1
    group = await shop.group(group_id)
    assert (group["status"], group["fail_reason"], group["members_paid"]) == ("FAILED", "ended_early", 2)
    assert await shop.states(group_id, bo["order_id"]) == [("REFUNDING", "PENDING_GROUP")] * 2


async def test_a_group_that_is_full_by_then_succeeds(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    await shop.paid("bo", group_id)
    cy = await shop.order("cy", group_id)
    payment = await shop.start_payment("cy", cy["order_id"])
    await tell(shop, group_id, status="failed")
    await shop.captured(payment)
    assert await settle_after(shop, 0) == 1
    assert (await shop.group(group_id))["status"] == "SUCCEEDED"


async def test_the_same_event_again_another_one_or_one_that_comes_too_late_changes_nothing(
    shop: Shop,
) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    await tell(shop, group_id, "e-1", status="failed")
    ends_at = (await shop.group(group_id))["ends_at"]
    shop.clock.advance(timedelta(seconds=5))
    assert (await tell(shop, group_id, "e-1", status="failed"))["status"] == "APPLIED"
    await tell(shop, group_id, "e-2", status="failed")
    assert (await shop.group(group_id))["ends_at"] == ends_at
    await settle_after(shop, 11)
    settled = await shop.group(group_id)
    await tell(shop, group_id, "e-3", status="failed")
    assert await shop.group(group_id) | {"now": None} == settled | {"now": None}
    assert await notes(shop) == ["ends_early", "nothing", "nothing"]
    assert await shop.services.pool.fetchval("SELECT count(*) FROM refund") == 1


async def test_an_event_of_a_group_that_begins_later_waits_for_it(shop: Shop) -> None:
    await shop.open()
    order = await shop.order("ann")
    assert (await tell(shop, order["order_id"], status="failed"))["status"] == "WAITING"
    await shop.captured(await shop.start_payment("ann", order["order_id"]))
    shop.clock.advance(timedelta(seconds=1))
    assert await apply_waiting_events(shop.services, shop.clock.now(), 10) == 1
    assert await settle_after(shop, 16) == 1
    assert (await shop.group(order["order_id"]))["fail_reason"] == "ended_early"


async def test_an_event_of_a_group_that_never_comes_is_rejected_after_a_day(shop: Shop) -> None:
    assert (await tell(shop, "123", status="failed"))["status"] == "WAITING"
    shop.clock.advance(timedelta(days=1, seconds=1))
    assert await apply_waiting_events(shop.services, shop.clock.now(), 10) == 1
    assert await notes(shop) == ["123 was never seen"]
    await shop.services.pool.execute("DELETE FROM inbound_event")  # the audit asks why it was rejected


async def test_a_group_that_has_changed_is_read_anew_by_the_gate(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    slots, _ = gate_keys(int(group_id))
    assert await shop.services.redis.exists(slots) == 0
    assert (await tell(shop, group_id))["status"] == "APPLIED"
    assert await shop.services.redis.hget(slots, "status") == b"OPEN"
    assert (await shop.group(group_id))["status"] == "OPEN"


async def test_what_it_must_carry(shop: Shop) -> None:
    assert (await tell(shop, "abc", answers=400))["code"] == "invalid_request"
    assert await shop.services.pool.fetchval("SELECT count(*) FROM inbound_event") == 0
