"""Paying over real HTTP: the sandbox provider as a process, and the application served to it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.bootstrap import Services
from app.lib.hot import Front
from app.settings import Settings
from tests.conftest import Login
from tests.payments.desk import Desk
from tests.sandbox.process import API_KEY, SECRET, SandboxProcess, free_port, serving


@pytest.fixture
def settings(database_url: str, redis_url: str, provider: SandboxProcess) -> Settings:
    port = free_port()
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        event_secrets=(SECRET, "the-next-secret"),
        sandbox_url=provider.url,
        sandbox_api_key=API_KEY,
    )


@pytest.fixture
async def desk(
    front: Front,
    services: Services,
    client: httpx.AsyncClient,
    provider: SandboxProcess,
    settings: Settings,
    login: Login,
) -> AsyncIterator[Desk]:
    """Everything that paying needs; the provider's webhooks reach the application over HTTP."""
    async with serving(front, settings.port), provider.client() as at_provider:
        yield Desk(services, client, at_provider, login())
