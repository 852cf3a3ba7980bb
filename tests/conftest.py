"""Real servers for the tests: one Postgres and one Valkey a session, a fresh database a test.

`database_url` and `redis_url` are what most tests want; `own_servers` is a pair that a test may kill.
"""

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest
import redis

from app.lib.migrate import migrate
from app.runtime.embedded import EmbeddedServers, start_servers

TEMPLATE = "rushcart"
_clone_numbers = count(1)


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    """Shared by the whole session: never stop or kill these."""
    pair = start_servers(tmp_path_factory.mktemp("servers"), durable=False)
    yield pair
    pair.stop()


@pytest.fixture(scope="session")
async def migrated(servers: EmbeddedServers) -> AsyncIterator[asyncpg.Connection]:
    """A connection from which the migrated template is cloned; nobody else may be connected to it."""
    await migrate(servers.database_url)
    connection = await asyncpg.connect(named(servers.database_url, "postgres"))
    yield connection
    await connection.close()


@pytest.fixture
async def database_url(servers: EmbeddedServers, migrated: asyncpg.Connection) -> AsyncIterator[str]:
    """A database of the test's own, migrated and empty."""
    name = f"test_{next(_clone_numbers)}"
    # Copying files takes 12 ms here, replaying them through the log (the default) 30 ms.
    await migrated.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    yield named(servers.database_url, name)
    await migrated.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(servers: EmbeddedServers) -> str:
    """The session's Valkey, emptied."""
    with redis.Redis.from_url(servers.redis_url) as client:
        client.flushall()
    return servers.redis_url


@pytest.fixture
async def own_servers(tmp_path: Path) -> AsyncIterator[EmbeddedServers]:
    """A migrated pair of this test alone, which it may stop, kill and start; costs about a second."""
    pair = start_servers(tmp_path / "servers", durable=False)
    try:
        await migrate(pair.database_url)
        yield pair
    finally:
        pair.stop()


def named(database_url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return database_url.replace("/rushcart?", f"/{database}?")
