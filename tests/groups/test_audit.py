"""The audit names each rule about groups that is broken."""

from __future__ import annotations

from datetime import timedelta

from app.audit.audit import audit_ledger
from app.audit.rules import GROUPS, RULES
from app.bootstrap import Services
from app.groups.settle import settle_due
from tests.auditing import assert_breaks_are_named
from tests.groups.conftest import Shop

# How each rule is broken, and the id that must be named.
BREAKS = {
    "groups_and_slots": ("UPDATE buy_group SET members_paid = 3 WHERE group_id = {open}", "{open}"),
    "groups_and_campaigns": ("UPDATE campaign_item SET total_stock = 2", "{item}"),
    "members_of_settled_groups": (
        "UPDATE group_order SET status = 'PAID' WHERE order_id = {full}",
        "{full}",
    ),
    "group_orders_and_orders": ("UPDATE orders SET out_id = NULL WHERE order_id = {full}", "{full}"),
    "waiting_groups": ("UPDATE buy_group SET ends_at = ends_at - interval '3 hours'", "{open}"),
    "waiting_campaigns": (
        "UPDATE campaign SET status = 'SUBMITTED';"
        " UPDATE campaign_decision SET at = at - interval '1 minute'",
        "{campaign}",
    ),
}


async def test_each_rule_names_what_breaks_it(shop: Shop, services: Services) -> None:
    await shop.open()
    full = await shop.paid("ann")
    for buyer in ("bo", "cy"):
        await shop.paid(buyer, full)
    await settle_due(services, shop.clock.now(), 10)
    made = {
        "full": full,
        "open": await shop.paid("dee"),
        "item": shop.campaign["items"][0]["campaign_item_id"],
        "campaign": shop.campaign["campaign_id"],
    }
    await shop.audit()
    assert set(RULES[GROUPS]) == set(BREAKS)
    await assert_breaks_are_named(services, BREAKS, shop.clock.now() - timedelta(seconds=30), made)


async def test_a_full_group_that_nobody_settles_is_named(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    for buyer in ("bo", "cy"):
        await shop.paid(buyer, group_id)
    assert await waiting(shop, "waiting_groups", timedelta(seconds=-30)) == []
    assert await waiting(shop, "waiting_groups", timedelta(seconds=1)) == [group_id]


async def test_an_open_group_of_a_withdrawn_campaign_is_named(shop: Shop, services: Services) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    path = f"/op/campaigns/{shop.campaign['campaign_id']}/withdraw"
    await shop.call(shop.op, "POST", path, {"reason": "a wrong price"})
    assert await waiting(shop, "waiting_groups", timedelta(seconds=1)) == [group_id]
    await settle_due(services, shop.clock.now(), 10)
    assert await waiting(shop, "waiting_groups", timedelta(seconds=1)) == []


async def test_a_campaign_whose_time_is_over_and_that_nobody_ends_is_named(shop: Shop) -> None:
    await shop.open()
    campaign_id = shop.campaign["campaign_id"]
    assert await waiting(shop, "waiting_campaigns", timedelta(hours=9)) == []
    assert await waiting(shop, "waiting_campaigns", timedelta(hours=9, seconds=16)) == [campaign_id]


async def waiting(shop: Shop, rule: str, later: timedelta) -> list[str]:
    """What the rule names of what should have been done by then."""
    async with shop.services.pool.acquire() as connection:
        found = await audit_ledger(connection, shop.clock.now() + later)
    return next([violation.id for violation in each.violations] for each in found if each.rule == rule)
