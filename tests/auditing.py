"""`assert_audit_clean(services)`: whatever has just happened, everything that must always hold does hold."""

from collections.abc import Collection

from app.audit.audit import audit
from app.bootstrap import Services


async def assert_audit_clean(services: Services, *, except_for: Collection[str] = ()) -> None:
    """`except_for` names rules that the test itself keeps from holding: `waiting_outbox` without a relay."""
    broken = {
        finding.rule: [f"{violation.id}: {violation.why}" for violation in finding.violations]
        for finding in await audit(services)
        if finding.violations and finding.rule not in except_for
    }
    assert broken == {}, broken
