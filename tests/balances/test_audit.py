"""The audit names each rule about balances that is broken."""

from __future__ import annotations

from typing import Any

from app.audit.rules import BALANCES, RULES
from app.bootstrap import Services
from tests.auditing import assert_audit_clean, assert_breaks_are_named
from tests.balances.calls import Operator
from tests.balances.shop import Shop

# How each rule is broken, and the id that must be named; `{paid}`, `{unpaid}` … are what `fill` has made.
BREAKS = {
    "balances_are_entries": (
        "UPDATE balance SET amount = amount + 1 WHERE account = 'points:42'",
        "points:42 POINTS",
    ),
    "points_lots": ("UPDATE points_lot SET remaining = 0", "points:42"),
    "points_lot_uses": ("DELETE FROM points_lot_use WHERE root_id = {paid}", "{paid}"),
    "deductions_and_lines": ("UPDATE orders SET points_used = 1 WHERE order_id = {paid}", "order {paid}"),
    "deductions_posted": (
        "DELETE FROM ledger_entry WHERE posting_kind = 'freeze' AND order_id = {unpaid}",
        "{unpaid} gift_card",
    ),
    "red_packets_spent_once": (
        "UPDATE red_packet SET status = 'available', order_id = NULL WHERE status = 'used'",
        "{packet}",
    ),
    "waiting_balances": (
        "UPDATE red_packet SET status = 'available', order_id = NULL,"
        " expires_at = now() - interval '1 minute'",
        "packet {packet}",
    ),
    "red_packets_hold": (
        "UPDATE balance SET amount = 5 WHERE account = 'red_packet:{packet}'",
        "{packet}",
    ),
}


async def fill(op: Operator, shop: Shop) -> dict[str, Any]:
    """A paid order with points and a packet, an unpaid and a canceled one with a card."""
    await op.points_rules()
    await op.grant(500)
    await op.pool(funds_minor=1_000)
    packet_id = await op.packet(100)
    (card,) = await op.cards(900)
    paid = await shop.place(("a", 1), points=200, red_packet_id=packet_id)
    await shop.pay(paid)
    unpaid = await shop.place(("b", 1), gift_card_codes=[card["code"]], points=5)
    await shop.cancel(await shop.place(("a", 1), gift_card_codes=[card["code"]], points=10))
    return {"paid": paid["order_id"], "unpaid": unpaid["order_id"], "packet": packet_id}


async def test_each_rule_names_what_breaks_it(op: Operator, shop: Shop, services: Services) -> None:
    made = await fill(op, shop)
    await assert_audit_clean(services)
    assert set(RULES[BALANCES]) == set(BREAKS)
    await assert_breaks_are_named(services, BREAKS, services.clock.now(), made)
