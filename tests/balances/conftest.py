"""An operator, and a look at what accounts hold."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest

from app.bootstrap import Services
from tests.balances.calls import Operator
from tests.balances.shop import Shop
from tests.conftest import Login
from tests.rows import put_sku

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


@pytest.fixture
async def shop(services: Services, client: httpx.AsyncClient, login: Login) -> Shop:
    """SKU a at 10.00 and b at 5.00 of shop 7, c at 3.00 of shop 8; 100 of each."""
    for sku_id, price_minor, shop_id in (("a", 1_000, "7"), ("b", 500, "7"), ("c", 300, "8")):
        await put_sku(services.pool, sku_id, price_minor=price_minor, shop_id=shop_id, on_hand=100)
    await services.prices.refresh()
    return Shop(services, client, login())
