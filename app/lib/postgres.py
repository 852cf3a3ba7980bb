"""The pool of Postgres connections, and which of its errors are worth another try.

Every wait has a limit: connecting, acquiring, each statement. `jsonb` columns are read and written as plain
Python values through msgspec.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
else:
    Pool = asyncpg.Pool
    Connection = asyncpg.Connection

# A connection that is not there within this time will not be there in time for the buyer either.
CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 5.0

# The whole transaction may be tried again: it has done nothing, or what it did is found by its keys.
TRANSIENT_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresConnectionError,
    # a statement timeout, a shutdown, a crash, a start that is not finished
    asyncpg.OperatorInterventionError,
    # too many connections, no memory, a full disk
    asyncpg.InsufficientResourcesError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # after a failover: still connected to what is a replica now
    asyncpg.ReadOnlySQLTransactionError,
    # a migration has changed a table under a prepared statement; it is prepared anew for the next try
    asyncpg.InvalidCachedStatementError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


def _encode_jsonb(value: Any) -> bytes:
    return b"\x01" + msgspec.json.encode(value)


def _decode_jsonb(raw: bytes) -> Any:
    return msgspec.json.decode(raw[1:])


async def _prepare_connection(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb", schema="pg_catalog", encoder=_encode_jsonb, decoder=_decode_jsonb, format="binary"
    )


async def _leave_as_is(_: Connection) -> None:
    """Whoever uses a connection leaves no session state behind, or resets it, as the relay does.

    Resetting whenever one comes back would cost a round trip a call.
    """


async def open_pool(database_url: str, *, size_max: int, statement_timeout_ms: int, name: str) -> Pool:
    """Open a pool; the first connection is made at once, so that a wrong address fails here."""
    return await asyncpg.create_pool(
        database_url,
        min_size=1,
        max_size=size_max,
        timeout=CONNECT_TIMEOUT_S,
        # The client's own limit lies above the server's, so that the server ends a statement first.
        command_timeout=statement_timeout_ms / 1000 + 5,
        init=_prepare_connection,
        reset=_leave_as_is,
        server_settings={
            "application_name": f"rushcart {name}",
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(statement_timeout_ms),
            "idle_in_transaction_session_timeout": "30000",
            "TimeZone": "UTC",
            # Our statements are short and prepared: compiling them never pays.
            "jit": "off",
        },
    )


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """A connection within a transaction: committed at the end, rolled back on any exception."""
    async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection, connection.transaction():
        yield connection
