"""What tests say of the audit.

`assert_audit_clean(services)`: whatever has just happened, everything that must always hold does hold.
`assert_breaks_are_named(…)`: the audit notices when it does not.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from app.audit.audit import audit, audit_ledger
from app.bootstrap import Services


async def assert_audit_clean(services: Services, *, except_for: Collection[str] = ()) -> None:
    """`except_for` names rules that the test itself keeps from holding: `waiting_outbox` without a relay."""
    broken = {
        finding.rule: [f"{violation.id}: {violation.why}" for violation in finding.violations]
        for finding in await audit(services)
        if finding.violations and finding.rule not in except_for
    }
    assert broken == {}, broken


async def assert_breaks_are_named(
    services: Services,
    breaks: Mapping[str, tuple[str, str]],
    due_before: datetime,
    made: Mapping[str, object],
) -> None:
    """`breaks`: by rule a statement that breaks it and an id that the audit must name then. Both may speak of
    what the test has `made`.
    """
    wrong = {}
    for rule, (statement, expected) in breaks.items():
        named = await named_after(services, rule, statement.format(**made), due_before)
        if expected.format(**made) not in named:
            wrong[rule] = named
    assert wrong == {}


async def named_after(services: Services, rule: str, statement: str, due_before: datetime) -> set[str]:
    """The ids that the audit names as breaking a rule after this statement, of which nothing stays."""
    async with services.pool.acquire() as connection:
        breaking = connection.transaction()
        await breaking.start()
        await connection.execute(statement)
        found = {each.rule: each.violations for each in await audit_ledger(connection, due_before)}
        await breaking.rollback()
    return {violation.id for violation in found[rule]}
