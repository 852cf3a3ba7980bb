"""Check everything that must always hold, on a live or a stopped system.

All statements read one snapshot of the ledger, so living traffic cannot look like a violation. The gate is
compared apart: what differs there counts only if it stays different, since under traffic it is told of a
commit a moment later.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import msgspec

from app.audit.rules import GATE_RULE, GATE_SECTION, RULES, WAITING
from app.bootstrap import Services
from app.coupons.reconcile import measure_coupon_drift
from app.groups.reconcile import measure_slot_drift
from app.lib.postgres import ACQUIRE_TIMEOUT_S, Connection
from app.lib.sql import QUERIES, load
from app.lib.valkey import GateDown
from app.stock.reconcile import measure_drift

FILES = [load(path.stem) for path in sorted(QUERIES.glob("audit*.sql"))]
STATEMENTS = {name: text for file in FILES for name, text in file}
DESCRIPTIONS = {name: file.describe(name) for file in FILES for name, _ in file}

# "Taken up within seconds": a sweep a second, retries that back off, half a minute for a restarted server.
GRACE_S = 30
# Reading ten million orders takes minutes; longer than this and something is wrong with the server.
STATEMENT_TIMEOUT_S = 1_800.0
# A batch that is being settled is settled within this time.
DRIFT_LOOKS, DRIFT_WAIT_S = 3, 0.5


class Violation(msgspec.Struct, frozen=True):
    id: str
    why: str


class Finding(msgspec.Struct, frozen=True):
    """One rule with its violations, at most 1,000. `skipped` says why it could not be checked."""

    section: str
    rule: str
    says: str
    violations: list[Violation]
    skipped: str | None = None


async def audit(services: Services) -> list[Finding]:
    """One finding a rule, in the design's order."""
    due_before = services.clock.now() - timedelta(seconds=GRACE_S)
    async with (
        services.pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        findings = await audit_ledger(connection, due_before)
    return [*findings, await _check_gate(services)]


async def audit_ledger(connection: Connection, due_before: datetime) -> list[Finding]:
    """The rules that Postgres alone can check, inside the caller's transaction."""
    await connection.execute(STATEMENTS["no_time_limit"])
    return [
        await _check(connection, section, rule, due_before)
        for section, rules in RULES.items()
        for rule in rules
    ]


async def _check(connection: Connection, section: str, rule: str, due_before: datetime) -> Finding:
    arguments = [due_before] if rule.startswith(WAITING) else []
    rows = await connection.fetch(STATEMENTS[rule], *arguments, timeout=STATEMENT_TIMEOUT_S)
    return Finding(section, rule, DESCRIPTIONS[rule], [Violation(row["id"], row["why"]) for row in rows])


async def _check_gate(services: Services) -> Finding:
    says = "At rest the gate promises what the ledger has."
    try:
        violations = await _lasting_drifts(services)
    except GateDown as error:
        return Finding(GATE_SECTION, GATE_RULE, says, [], skipped=f"Valkey does not answer: {error}")
    return Finding(GATE_SECTION, GATE_RULE, says, violations)


async def _lasting_drifts(services: Services) -> list[Violation]:
    """Those that every look has found at the same place."""
    lasting = await measure_gate_drift(services)
    for _ in range(DRIFT_LOOKS - 1):
        if not lasting:
            break
        await asyncio.sleep(DRIFT_WAIT_S)
        again = await measure_gate_drift(services)
        lasting = {place: again[place] for place in lasting.keys() & again.keys()}
    return list(lasting.values())


async def measure_gate_drift(services: Services) -> dict[str, Violation]:
    """By place, of all gates. Raises GateDown."""
    stock = await measure_drift(services.valkey, services.pool)
    coupons = await measure_coupon_drift(services.valkey, services.pool)
    found: list[tuple[str, int | str, int | str]] = [
        (f"{drift.shop_id} {drift.what}", drift.gate, drift.ledger) for drift in stock
    ]
    found += [(f"coupons of {drift.template_id} {drift.what}", drift.gate, drift.ledger) for drift in coupons]
    slots = await measure_slot_drift(services.valkey, services.pool)
    found += [(f"group {drift.group_id} {drift.what}", drift.gate, drift.ledger) for drift in slots]
    return {place: Violation(place, f"gate {gate}, ledger {ledger}") for place, gate, ledger in found}
