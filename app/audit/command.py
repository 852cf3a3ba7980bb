"""`rushcart audit` and `rushcart reconcile`: the findings as a table, or as JSON for other programs."""

from __future__ import annotations

import sys

import msgspec
from rich.console import Console
from rich.table import Table

from app.audit.audit import Finding, audit
from app.bootstrap import open_services
from app.coupons.reconcile import reconcile_coupons
from app.groups.reconcile import reconcile_slots
from app.lib.valkey import GateDown
from app.settings import Settings
from app.stock.reconcile import reconcile

# More examples of one fault tell nothing new.
EXAMPLES_MAX = 10


async def run_audit(settings: Settings, *, as_json: bool) -> int:
    """Print the findings; returns 1 when a rule is broken, else 0."""
    async with open_services(settings, name="audit", load_prices=False) as services:
        findings = await audit(services)
    if as_json:
        sys.stdout.write(msgspec.json.encode(findings).decode() + "\n")
    else:
        print_findings(Console(), findings)
    return int(any(finding.violations for finding in findings))


def print_findings(console: Console, findings: list[Finding]) -> None:
    table = Table("", "rule", "must hold", "violations")
    for finding in findings:
        count = "not checked" if finding.skipped else str(len(finding.violations))
        style = "bold red" if finding.violations else None
        table.add_row(finding.section, finding.rule, finding.says, count, style=style)
    console.print(table)
    for finding in findings:
        if finding.skipped:
            console.print(f"{finding.rule}: {finding.skipped}")
        for violation in finding.violations[:EXAMPLES_MAX]:
            console.print(f"{finding.rule}: {violation.id}: {violation.why}", markup=False)
        if (more := len(finding.violations) - EXAMPLES_MAX) > 0:
            console.print(f"{finding.rule}: and {more} more")


async def run_reconcile(settings: Settings) -> int:
    """Print how gate and ledger differ and make them equal; returns 1 when Valkey does not answer."""
    async with open_services(settings, name="reconcile", load_prices=False) as services:
        try:
            drifts = await reconcile(services.valkey, services.gate, services.pool)
            coupons = await reconcile_coupons(services.valkey, services.pool)
            slots = await reconcile_slots(services.valkey, services.pool, services.clock)
        except GateDown as error:
            sys.stderr.write(f"Valkey does not answer: {error}\n")
            return 1
    for drift in drifts:
        sys.stdout.write(f"shop {drift.shop_id}, {drift.what}: gate {drift.gate}, ledger {drift.ledger}\n")
    for each in coupons:
        sys.stdout.write(
            f"coupons of {each.template_id}, {each.what}: gate {each.gate}, ledger {each.ledger}\n"
        )
    for slot in slots:
        sys.stdout.write(f"group {slot.group_id}, {slot.what}: gate {slot.gate}, ledger {slot.ledger}\n")
    count = len(drifts) + len(coupons) + len(slots)
    sys.stdout.write(f"{count} corrected\n" if count else "gate and ledger agree\n")
    return 0
