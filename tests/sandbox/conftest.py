"""One provider process a session, and the shop that it calls back."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.sandbox.process import SandboxProcess, Shop, open_shop


@pytest.fixture(scope="session")
async def shop() -> AsyncIterator[Shop]:
    async with open_shop() as opened:
        yield opened


@pytest.fixture(scope="session")
async def provider(tmp_path_factory: pytest.TempPathFactory, shop: Shop) -> AsyncIterator[SandboxProcess]:
    process = SandboxProcess(tmp_path_factory.mktemp("provider"), callback=shop.url)
    await process.start()
    yield process
    process.stop()


@pytest.fixture
async def client(provider: SandboxProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with provider.client() as opened:
        yield opened


@pytest.fixture
def reference() -> str:
    return uuid4().hex


@pytest.fixture
def another_folder(tmp_path: Path) -> Path:
    return tmp_path / "books"
