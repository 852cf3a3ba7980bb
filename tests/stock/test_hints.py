"""`available` and `max_quantity` of a summary follow the ledger."""

import asyncio
from typing import Any

import asyncpg
import httpx

from app.bootstrap import Services
from app.stock.hints import Hints
from tests.rows import put_sku
from tests.waiting import wait_until


async def price(client: httpx.AsyncClient, quantity: int) -> dict[str, Any]:
    body = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": quantity}]}
    answer = await client.post("/shopping/cal_price/v4_4", json=body)
    line: dict[str, Any] = answer.json()["shops"][0]["lines"][0]
    return {"available": line["available"], "max_quantity": line["max_quantity"]}


async def test_the_first_look_at_a_sku_knows_what_is_free(
    client: httpx.AsyncClient, services: Services
) -> None:
    await put_sku(services.pool, on_hand=3)
    await services.prices.refresh()
    assert await price(client, 3) == {"available": True, "max_quantity": 3}
    assert await price(client, 4) == {"available": False, "max_quantity": 3}


async def test_a_change_elsewhere_shows_within_a_moment(
    client: httpx.AsyncClient, services: Services
) -> None:
    await put_sku(services.pool, on_hand=3)
    await services.prices.refresh()
    await price(client, 1)
    await services.pool.execute("UPDATE stock_pool SET on_hand = 0, version = version + 1")

    async def is_gone() -> bool:
        return await price(client, 1) == {"available": False, "max_quantity": 0}

    await wait_until(is_gone)


async def test_all_who_ask_while_the_ledger_is_read_share_the_next_read(database_url: str) -> None:
    reads = []

    class Counting(asyncpg.Connection):
        async def fetch(self, *query: Any, **options: Any) -> Any:
            reads.append(query)
            return await super().fetch(*query, **options)

    async with asyncpg.create_pool(database_url, min_size=1, connection_class=Counting) as pool:
        hints = Hints(pool)

        async def ask(asker: int) -> None:
            for pool_id in range(asker * 10, asker * 10 + 10):
                assert hints.get(pool_id) is None
                await hints.learn()
                assert hints.get(pool_id) == 0

        await asyncio.gather(*(ask(asker) for asker in range(20)))
    assert len(reads) <= 12
