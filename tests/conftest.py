"""Real servers for the tests: one Postgres and one Valkey a session, a fresh database a test.

`database_url` and `redis_url` are what most tests want; `own_servers` is a pair that a test may kill.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import asyncpg
import httpx
import pytest
import redis

from app.bootstrap import Services, open_services
from app.http import create_app
from app.lib.auth import make_token
from app.lib.clock import OffsetClock
from app.lib.hot import Front
from app.lib.migrate import migrate
from app.runtime.embedded import EmbeddedServers, start_servers
from app.settings import Settings
from tests.sandbox.process import SandboxProcess

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


@pytest.fixture(scope="session")
async def provider(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxProcess]:
    """The sandbox payment provider, a process of its own, shared by the whole session."""
    process = SandboxProcess(tmp_path_factory.mktemp("provider"))
    await process.start()
    yield process
    process.stop()


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url)


@pytest.fixture
def clock() -> OffsetClock:
    """The clock of the services under test: `clock.advance(…)` moves it."""
    return OffsetClock()


@pytest.fixture(scope="session")
def application() -> Front:
    """The application without services: its routes cost 120 ms to build, so they are built once."""
    return create_app(Settings())


@pytest.fixture
async def front(application: Front, settings: Settings, clock: OffsetClock) -> AsyncIterator[Front]:
    """The whole application, open."""
    async with open_services(settings, name="test", clock=clock) as services:
        application.bind(services)
        yield application


@pytest.fixture
def services(front: Front) -> Services:
    """The services behind `client`."""
    assert front.services is not None
    return front.services


@pytest.fixture
async def client(front: Front) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP calls into the application, with no server between."""
    transport = httpx.ASGITransport(app=front)
    async with httpx.AsyncClient(transport=transport, base_url="http://rushcart.test") as http:
        yield http


Login = Callable[..., dict[str, str]]


@pytest.fixture
def login(settings: Settings) -> Login:
    """Headers of a caller: `login("42")`, `login("ann", "op")`, `login("m", "merchant", "7")`."""

    def headers(sub: str = "42", role: str = "buyer", shop_id: str | None = None) -> dict[str, str]:
        return {"authorization": f"Bearer {make_token(settings, sub=sub, role=role, shop_id=shop_id)}"}

    return headers


def named(database_url: str, database: str) -> str:
    """The URL of another database on the same server."""
    return database_url.replace("/rushcart?", f"/{database}?")
