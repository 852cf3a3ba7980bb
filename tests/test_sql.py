"""Every named statement is valid SQL for the migrated schema."""

import asyncpg
import pytest

from app.lib.sql import QUERIES, load

CAPABILITIES = sorted(path.stem for path in QUERIES.glob("*.sql"))


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_every_statement_can_be_prepared(capability: str, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        for name, text in load(capability):
            try:
                await connection.prepare(text)
            except asyncpg.PostgresError as error:
                pytest.fail(f"{capability}.{name}: {error}")
    finally:
        await connection.close()
