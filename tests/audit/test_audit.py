"""The audit finds nothing in a sound ledger, and names each rule that is broken."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta

import msgspec

from app.audit.audit import audit
from app.audit.rules import BALANCES, GATE_RULE, GROUPS, RULES, SEATS
from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.clock import OffsetClock
from app.lib.idempotency import key_digest
from app.lib.postgres import transaction
from app.orders.cancel import cancel
from app.payments.aftermath import Aftermath
from app.refunds.request import refund_in
from app.refunds.schemas import RefundRequest
from app.refunds.settle import RefundOutcome, settle
from app.settings import Settings
from app.stock.keys import pool_key
from tests.auditing import assert_audit_clean, assert_breaks_are_named
from tests.placed import give_coupon, open_sale, pay, place, stock_sku

# How each rule is broken, and the id that must be named; `{unpaid}`, `{paid}` … are what `fill` has made.
BREAKS = {
    "stock_movements": ("UPDATE stock_pool SET on_hand = on_hand + 1 WHERE pool_id = {pool}", "{pool}"),
    "stock_reserved": (
        "UPDATE stock_pool SET reserved = reserved + 1 WHERE pool_id = {pool};"
        "INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta)"
        " VALUES ({pool}, 'reserve', 0, 1)",
        "{pool}",
    ),
    "stock_sold": (
        "ALTER TABLE stock_pool DROP CONSTRAINT stock_pool_reserved_within_on_hand;"
        "UPDATE stock_pool SET on_hand = reserved - 1 WHERE pool_id = {pool}",
        "{pool}",
    ),
    "stock_of_orders": ("DELETE FROM stock_movement WHERE order_id = {paid}", "{paid}"),
    "purchase_limits": ("UPDATE purchase_limit SET quantity = quantity + 1", "noon a 42"),
    "stock_orphans": ("DELETE FROM stock_pool WHERE pool_id = {pool}", "line {paid_line}"),
    "pay_order_captured": (
        "UPDATE payment_order SET amount_minor = amount_minor + 1 WHERE payment_id = {payment}",
        "{paid}",
    ),
    "pay_order_refunds": (
        "UPDATE pay_order SET refunding_minor = refunding_minor + 1 WHERE order_id = {paid}",
        "{paid}",
    ),
    "refunds_within_payment": ("UPDATE refund SET amount_minor = 1000000", "{payment}"),
    "uncounted_money": (
        "INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, status, currency,"
        " amount_minor, created_at, updated_at)"
        " VALUES (5, {paid}, '42', 'sandbox', 'card', 'CAPTURED', 'CNY', 7, now(), now())",
        "5",
    ),
    "ledger_balance": (
        "UPDATE ledger_entry SET amount_minor = amount_minor + 1"
        " WHERE account LIKE 'shop:%' AND posting_kind = 'capture'",
        "capture {payment}",
    ),
    "ledger_postings": ("DELETE FROM ledger_entry WHERE posting_kind = 'capture'", "capture {payment}"),
    "refund_lines": ("UPDATE refund_line SET amount_minor = amount_minor + 1", "refund {refund}"),
    "order_and_payment": (
        "UPDATE orders SET status = 'PENDING_SHIPMENT' WHERE order_id = {sale_order}",
        "{sale_order}",
    ),
    "lines_add_up": (
        "UPDATE order_line SET freight_minor = 1, payable_minor = payable_minor + 1 WHERE order_id = {paid}",
        "{paid}",
    ),
    "discounts_explained": ("UPDATE order_line SET discounts = NULL", "{coupon_line}"),
    "children_add_up": (
        "UPDATE orders SET freight_minor = 1, payable_minor = payable_minor + 1 WHERE order_id = {unpaid}",
        "{unpaid}",
    ),
    "due_is_payable": (
        "UPDATE pay_order SET amount_minor = amount_minor + 1 WHERE order_id = {unpaid}",
        "{unpaid}",
    ),
    "price_changes": (
        "INSERT INTO price_change VALUES (1, {paid}, 'm', 'merchant', 'r', 0, 5, 3000,"
        ' \'[{{"line_id": "{paid_line}", "before_minor": 0, "after_minor": 5}}]\', now())',
        "{paid_line}",
    ),
    "parents_and_children": ("UPDATE orders SET status = 'CANCELED' WHERE order_id = {child}", "{child}"),
    "coupons_and_orders": ("UPDATE coupon SET status = 'used' WHERE order_id IS NOT NULL", "{coupon}"),
    "coupons_spent_once": ("UPDATE coupon SET status = 'available', order_id = NULL", "{coupon}"),
    "rule_uses": ("UPDATE rule_use SET taken = taken + 1", "coupon t-{coupon} budget CNY"),
    "rule_uses_of_orders": ("UPDATE order_rule_use SET taken = 1", "{unpaid} t-{coupon} budget"),
    "coupons_granted": ("UPDATE coupon_template SET granted_count = granted_count + 1", "t-{coupon}"),
    "coupons_of_buyers": ("UPDATE coupon_claim SET quantity = quantity + 1", "t-{coupon} 42"),
    "codes_and_coupons": ("INSERT INTO coupon_code VALUES ('CARD', 't-{coupon}', {invited})", "CARD"),
    "coupon_invites": ("UPDATE coupon_invite SET coupon_id = {coupon}", "t-{invited} 43"),
    "keys_and_coupons": (
        "INSERT INTO idempotency VALUES ('\\x00', 'coupon/claim', '42', '', 200,"
        " convert_to('{{\"coupon_id\": \"{invited}\"}}', 'UTF8'))",
        "00",
    ),
    "keys_and_orders": ('UPDATE idempotency SET response = \'{{"order_id": "1"}}\'', "{key}"),
    "unfinished_keys": ("UPDATE idempotency SET status = 0", "{key}"),
    "events_applied": ("UPDATE payment_order SET status = 'PENDING', poll_at = now()", "sandbox e-1"),
    "waiting_orders": (
        "UPDATE orders SET pay_deadline = now() - interval '1 minute' WHERE order_id = {unpaid}",
        "{unpaid}",
    ),
    "waiting_payments": ("UPDATE payment_order SET poll_at = now() - interval '1 minute'", "{payment}"),
    "waiting_refunds": ("UPDATE refund SET send_at = now() - interval '1 minute'", "{refund}"),
    "waiting_events": ("UPDATE inbound_event SET status = 'WAITING', apply_at = NULL", "sandbox e-1"),
    "waiting_flash_sales": (
        "UPDATE flash_sale SET starts_at = now() - interval '1 hour', ends_at = now() - interval '1 minute'",
        "noon",
    ),
    "waiting_coupons": (
        "UPDATE coupon SET valid_from = now() - interval '1 day', valid_to = now() - interval '1 minute'",
        "{invited}",
    ),
    "waiting_outbox": ("UPDATE outbox SET created_at = now() - interval '1 minute'", "{event}"),
}


async def fill(services: Services) -> dict[str, object]:
    """One of everything: unpaid and split, paid and partly refunded, canceled, of a sale."""
    pool = services.pool
    made: dict[str, object] = {"pool": await stock_sku(pool, "a"), "coupon": await give_coupon(services)}
    await stock_sku(pool, "b", shop_id="8")
    await open_sale(pool, "noon", "a", 5, buyer_max=2)
    unpaid = made["unpaid"] = await place(services, ("a", 1), ("b", 2), coupon_id=int(str(made["coupon"])))
    await pool.execute(
        "WITH use AS (INSERT INTO order_rule_use VALUES ($1, 'coupon', $2, 'budget', 'CNY', 100) RETURNING *)"
        " INSERT INTO rule_use SELECT kind, rule_id, measure, whose, taken FROM use",
        unpaid,
        f"t-{made['coupon']}",
    )
    paid = made["paid"] = await place(services, ("a", 3))
    payment = made["payment"] = await pay(services, paid)
    made["refund"] = await refund_part(services, paid)
    made["sale_order"] = await place(services, ("a", 2), activity_id="noon")
    await cancel(services, "42", str(await place(services, ("b", 1))))
    invited = made["invited"] = await give_coupon(services, "43")
    await pool.execute("INSERT INTO coupon_invite VALUES ($1, '43', '42', $2)", f"t-{invited}", invited)
    digest = key_digest("checkout/entries", "42", "k")
    await pool.execute(
        "INSERT INTO idempotency VALUES ($1, 'checkout/entries', '42', $1, 201, $2)",
        digest,
        msgspec.json.encode({"order_id": str(paid)}),
    )
    await pool.execute(
        "INSERT INTO inbound_event"
        " VALUES ('sandbox', 'e-1', 'payment_notified_cm', now(), now(), $1, 'APPLIED')",
        {"data": {"payment_id": str(payment), "status": "captured"}},
    )
    made["key"] = digest.hex()
    made["child"] = await pool.fetchval("SELECT max(order_id) FROM orders WHERE parent_id = $1", unpaid)
    made["paid_line"] = await pool.fetchval("SELECT line_id FROM order_line WHERE order_id = $1", paid)
    made["coupon_line"] = await pool.fetchval("SELECT line_id FROM order_line WHERE discounts IS NOT NULL")
    made["event"] = await pool.fetchval("SELECT min(event_id) FROM outbox")
    return made


async def refund_part(services: Services, order_id: int) -> int:
    """1000 of an order's money have gone back."""
    request = RefundRequest(order_id=str(order_id), amount_minor=1_000)
    async with transaction(services.pool) as connection:
        reply = await refund_in(services, connection, Caller("42", "buyer"), request, Aftermath())
        await settle(
            services, connection, RefundOutcome(reply.refund_id, "succeeded", 1_000, "CNY"), Aftermath()
        )
    return int(reply.refund_id)


async def test_a_sound_ledger_is_clean(services: Services) -> None:
    await fill(services)
    await assert_audit_clean(services)


async def test_each_rule_names_what_breaks_it(services: Services) -> None:
    made = await fill(services)
    due_before = services.clock.now() - timedelta(seconds=30)
    # broken by the test_audit.py of tests/balances, tests/groups and tests/seats
    elsewhere = (BALANCES, GROUPS, SEATS)
    assert {rule for part, rules in RULES.items() for rule in rules if part not in elsewhere} == set(BREAKS)
    await assert_breaks_are_named(services, BREAKS, due_before, made)
    await assert_audit_clean(services)


async def test_a_gate_that_differs_from_the_ledger_is_named(services: Services) -> None:
    pool_id = await stock_sku(services.pool, "a", on_hand=10)
    await services.gate.load([("7", pool_id)])
    await assert_audit_clean(services)
    await services.redis.hset(pool_key("7", pool_id), "free", 99)
    (broken,) = [finding for finding in await audit(services) if finding.violations]
    assert broken.rule == GATE_RULE
    assert [violation.why for violation in broken.violations] == ["gate 99, ledger 10"]


async def test_what_is_overdue_counts_only_after_its_grace(services: Services, clock: OffsetClock) -> None:
    await stock_sku(services.pool, "a")
    await place(services, ("a", 1))
    clock.advance(timedelta(seconds=services.settings.pay_timeout_s + 20))
    await assert_audit_clean(services)
    clock.advance(timedelta(seconds=20))
    assert [finding.rule for finding in await audit(services) if finding.violations] == ["waiting_orders"]


async def rushcart(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "app", *arguments],
        env=os.environ | {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_the_command_prints_each_rule_and_fails_when_one_is_broken(
    services: Services, settings: Settings
) -> None:
    pool_id = await stock_sku(services.pool, "a")
    clean = await rushcart(settings, "audit", "--json")
    assert clean.returncode == 0, clean.stderr
    assert len(json.loads(clean.stdout)) == sum(map(len, RULES.values())) + 1

    await services.pool.execute("UPDATE stock_pool SET on_hand = on_hand + 1")
    broken = await rushcart(settings, "audit")
    assert broken.returncode == 1
    assert f"stock_movements: {pool_id}: on hand 11 and reserved 0; movements say 10 and 0" in broken.stdout


async def test_reconcile_says_what_it_corrected(services: Services, settings: Settings) -> None:
    pool_id = await stock_sku(services.pool, "a", on_hand=10)
    await services.gate.load([("7", pool_id)])
    await services.redis.hset(pool_key("7", pool_id), "free", 99)
    first = await rushcart(settings, "reconcile")
    assert first.stdout.splitlines() == [f"shop 7, pool {pool_id} free: gate 99, ledger 10", "1 corrected"]
    assert (await rushcart(settings, "reconcile")).stdout == "gate and ledger agree\n"
