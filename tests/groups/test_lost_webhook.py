"""Money whose notification was lost: before a group ends, the channels are asked about its unpaid members."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.groups.settle import settle_due
from tests.groups.conftest import Shop
from tests.sandbox.process import SandboxProcess


async def two_paid_and_one_who_tries(shop: Shop) -> tuple[str, str, Any]:
    """The group, the last member's order and attempt, ten minutes before its end."""
    await shop.open()
    group_id = await shop.paid("ann")
    await shop.paid("bo", group_id)
    shop.clock.advance(timedelta(minutes=50))
    order_id: str = (await shop.order("cy", group_id))["order_id"]
    return group_id, order_id, await shop.start_payment("cy", order_id)


async def end(shop: Shop) -> None:
    shop.clock.advance(timedelta(minutes=11))
    for _ in range(2):  # ended while it was asked: the next sweep settles it
        await settle_due(shop.services, shop.clock.now(), 10)


async def test_who_has_paid_in_time_is_in_also_where_no_notification_ever_came(
    shop: Shop, provider: SandboxProcess
) -> None:
    group_id, order_id, payment = await two_paid_and_one_who_tries(shop)
    async with provider.client() as at_provider:
        await at_provider.post(payment["action"]["url"], data={"button": "pay"})
    await end(shop)
    assert (await shop.group(group_id))["status"] == "SUCCEEDED"
    assert await shop.states(group_id, order_id) == [("SUCCEEDED", "PENDING_SHIPMENT")] * 2


async def test_who_has_only_tried_to_pay_cannot_any_more(shop: Shop, provider: SandboxProcess) -> None:
    group_id, order_id, payment = await two_paid_and_one_who_tries(shop)
    await end(shop)
    assert (await shop.group(group_id))["fail_reason"] == "not_full_in_time"
    assert await shop.states(group_id, order_id) == [("REFUNDING", "PENDING_GROUP"), ("CANCELED", "CANCELED")]
    async with provider.client() as at_provider:
        at_channel = (await at_provider.get(f"/v1/payments/{payment['payment_id']}")).json()
    assert at_channel["status"] == "canceled"


async def test_a_channel_that_is_ill_holds_no_group_up(shop: Shop, provider: SandboxProcess) -> None:
    group_id, order_id, payment = await two_paid_and_one_who_tries(shop)
    ill = {"kind": "http_500", "reference": payment["payment_id"], "times": 100}
    async with provider.client() as at_provider:
        assert (await at_provider.post("/control/faults", json=ill)).status_code == 204
    await end(shop)
    assert (await shop.group(group_id))["status"] == "FAILED"
    assert await shop.states(group_id, order_id) == [("REFUNDING", "PENDING_GROUP"), ("CANCELED", "CANCELED")]
