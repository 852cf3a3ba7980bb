"""A process that dies at its n-th write: Postgres ends the connection there and rolls back what was begun.

For tests only: triggers in the test's own database, counted by a sequence, which no rollback turns back.
"""

from __future__ import annotations

import asyncpg

TABLES = (
    *("orders", "order_line", "pay_order", "payment_order", "ledger_entry", "group_order", "buy_group"),
    *("stock_pool", "stock_movement", "refund", "refund_line", "outbox", "campaign", "idempotency"),
)
# Far from any count that a test reaches.
NEVER = -1_000_000

INSTALL = f"""
CREATE SEQUENCE crash_countdown MINVALUE {NEVER} START {NEVER};
CREATE FUNCTION crash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('crash_countdown') = 0 THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
    RETURN NEW;
END $$;
-- in the commit, when all has been written
CREATE CONSTRAINT TRIGGER crash_late AFTER INSERT OR UPDATE ON group_order DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION crash();
"""


async def install_crashes(pool: asyncpg.Pool) -> None:
    await pool.execute(INSTALL)
    for table in TABLES:
        await pool.execute(
            f"CREATE TRIGGER crash BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION crash()"
        )


async def crash_at(pool: asyncpg.Pool, writes: int | None) -> None:
    """At the n-th row that is written from now on, once; None: never."""
    await pool.execute("SELECT setval('crash_countdown', $1)", NEVER if writes is None else -writes)
