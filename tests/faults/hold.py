"""Holds a process at one of its writes, so that a test can kill it exactly there.

A trigger in the test's database makes the write wait for an advisory lock that the test has. The process is
killed while it waits; then the lock is let go of, and Postgres finds that nobody is there any more.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.waiting import wait_until

KEY = 4_242
REACHED_LIMIT_S = 20.0
# The write is held in the commit, when all else has been written.
COMMIT = "commit"

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
FUNCTION = f"""
CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('application_name') LIKE TG_ARGV[0] THEN
        PERFORM pg_advisory_xact_lock_shared({KEY});
    END IF;
    RETURN NEW;
END $$;
"""


@asynccontextmanager
async def holding(database_url: str, process: str, table: str) -> AsyncIterator[Hold]:
    """The first write of `process` ("worker", "api") to `table` waits, or its commit (COMMIT)."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(FUNCTION)
    call = f"FOR EACH ROW EXECUTE FUNCTION hold('rushcart {process}%')"
    if table == COMMIT:
        table = "group_order"
        create = (
            "CREATE CONSTRAINT TRIGGER held AFTER INSERT OR UPDATE ON {} DEFERRABLE INITIALLY DEFERRED {}"
        )
    else:
        create = "CREATE TRIGGER held BEFORE INSERT OR UPDATE ON {} {}"
    await connection.execute("SELECT pg_advisory_lock($1)", KEY)
    await connection.execute(create.format(table, call))
    try:
        yield Hold(connection)
    finally:
        await connection.execute("SELECT pg_advisory_unlock_all()")
        await connection.execute(f"DROP TRIGGER held ON {table}")
        await connection.close()


class Hold:
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def wait_reached(self) -> None:
        """Until the process stands at the write."""

        async def waits() -> bool:
            return bool(await self._connection.fetchval(WAITING, KEY))

        await wait_until(waits, REACHED_LIMIT_S)
