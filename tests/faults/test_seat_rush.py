"""Groups of one session succeed in two workers, of which one is killed: each member has an own seat."""

from __future__ import annotations

import asyncio
import os
import signal
from uuid import uuid4

from app.runtime.children import Child, stop
from app.runtime.process import end
from app.seats.replace import replace
from app.seats.schemas import SeatMapDocument, SeatRow
from tests.faults.groups import OP, SLOTS, Crowd, publish_campaign
from tests.faults.judge import judge_at_rest
from tests.faults.stack import Stack
from tests.rows import put_sku
from tests.waiting import wait_until

GROUPS = 20
SEATS_IN_ROW = 10
SETTLED_LIMIT_S = 30.0


async def sell_a_session(stack: Stack, name: str) -> list[str]:
    """As many seats as are sold, in rows of ten; two campaigns sell half of them each."""
    units = GROUPS * SLOTS
    await put_sku(stack.services.pool, name, shop_id=f"shop-{name}", on_hand=units, item_type="virtual")
    numbers: list[str | None] = [str(n) for n in range(SEATS_IN_ROW)]
    seats = [SeatRow(f"row {n}", numbers) for n in range(units // SEATS_IN_ROW)]
    await replace(stack.services.pool, OP, name, SeatMapDocument("tonight", seats))
    return [await publish_campaign(stack.services, name, units // 2) for _ in range(2)]


async def test_groups_of_one_session_succeed_in_two_workers_of_which_one_is_killed(stack: Stack) -> None:
    name = uuid4().hex[:8]
    stop([stack.worker])  # so that all are full before any has succeeded
    item_ids = await sell_a_session(stack, name)
    await asyncio.gather(*[fill_groups(stack, item_id, GROUPS // 2) for item_id in item_ids])
    second = another_worker(stack)
    try:
        stack.worker.start()
        second.start()
        await wait_until(lambda: seats_given(stack, name, 1), SETTLED_LIMIT_S)
        end(second.process(), ((signal.SIGKILL, 5.0),))
        second.start()
        await wait_until(lambda: seats_given(stack, name, GROUPS * SLOTS), SETTLED_LIMIT_S)
    finally:
        stop([second])
    lines = "SELECT count(DISTINCT line_id) FROM seat WHERE sku_id = $1"
    assert await stack.services.pool.fetchval(lines, name) == GROUPS * SLOTS
    await judge_at_rest(stack)


async def fill_groups(stack: Stack, item_id: str, groups: int) -> None:
    crowd = Crowd(stack, item_id)
    starts = await asyncio.gather(*[crowd.buy(f"{n}") for n in range(groups)])
    joins = await asyncio.gather(
        *[crowd.buy(f"{group_id}-{n}", group_id) for _, group_id in starts for n in range(SLOTS - 1)]
    )
    await crowd.http.aclose()
    assert {word for word, _ in (*starts, *joins)} == {"paid"}


def another_worker(stack: Stack) -> Child:
    servers = {"DATABASE_URL": stack.servers.database_url, "REDIS_URL": stack.servers.redis_url}
    folder = stack.worker.log.parent
    return Child("worker-2", "worker", data_dir=folder, environment=dict(os.environ) | servers)


async def seats_given(stack: Stack, sku_id: str, least: int) -> bool:
    given = "SELECT count(*) FROM seat WHERE sku_id = $1 AND order_id IS NOT NULL"
    count: int = await stack.services.pool.fetchval(given, sku_id)
    return count >= least
