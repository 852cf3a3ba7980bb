"""An operator, and a look at what accounts hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from app.bootstrap import Services
from tests.balances.calls import Operator
from tests.conftest import Login

Holds = Callable[[str], Awaitable[int]]


@pytest.fixture
def op(client: httpx.AsyncClient, login: Login) -> Operator:
    return Operator(client, login("ann", "op"))


@pytest.fixture
def holds(services: Services) -> Holds:
    """What an account holds by its entries, with or without a balance of its own."""

    async def total(account: str) -> int:
        found: int = await services.pool.fetchval(
            "SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entry WHERE account = $1", account
        )
        return found

    return total
