"""Reserved stock of orders that will not be paid goes back to where the next buyer finds it.

Enters: orders that the caller has moved to CANCELED in the same transaction. Leaves: the changed pools as the
gate wants them. A pool of an ended activity (`closed`) takes no more orders: what comes back to it goes on to
the SKU's normal pool, with movements on both sides so that each pool's numbers can be recomputed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import asyncpg

from app.lib.postgres import Connection
from app.lib.sql import load
from app.stock.scripts import PoolFact

sql = load("orders")

NORMAL_SALE = "0"


class Movement(NamedTuple):
    pool_id: int
    kind: str
    on_hand_delta: int
    reserved_delta: int
    order_id: int


async def return_stock(connection: Connection, order_ids: Sequence[int]) -> list[PoolFact]:
    """Release what the orders hold reserved; the pools are locked by id, after all else of the order."""
    held = await connection.fetch(sql.reserved_by_orders, order_ids)
    if not held:
        return []
    pools = await connection.fetch(sql.lock_pools, sorted({row["pool_id"] for row in held}))
    movements = plan_release(held, pools)
    changes = sum_by_pool(movements)
    changed = await connection.fetch(
        sql.change_pools, list(changes), [c[0] for c in changes.values()], [c[1] for c in changes.values()]
    )
    await connection.execute(sql.insert_movements, *map(list, zip(*movements, strict=True)))
    shop_of_sku = {row["sku_id"]: row["shop_id"] for row in held}
    shop_of_pool = {pool["pool_id"]: shop_of_sku[pool["sku_id"]] for pool in pools}
    return [
        PoolFact(shop_of_pool[row["pool_id"]], row["pool_id"], row["free"], row["version"]) for row in changed
    ]


def plan_release(held: Iterable[asyncpg.Record], pools: Iterable[asyncpg.Record]) -> list[Movement]:
    """The movements that give `held` back, given the locked `pools`."""
    closed = {pool["pool_id"]: pool["closed"] for pool in pools}
    normal = {pool["sku_id"]: pool["pool_id"] for pool in pools if pool["activity_id"] == NORMAL_SALE}
    movements = []
    for row in held:
        pool_id, quantity, order_id = row["pool_id"], row["quantity"], row["order_id"]
        movements.append(Movement(pool_id, "release", 0, -quantity, order_id))
        if closed[pool_id]:
            movements.append(Movement(pool_id, "supply_out", -quantity, 0, order_id))
            movements.append(Movement(normal[row["sku_id"]], "supply_in", quantity, 0, order_id))
    return movements


def sum_by_pool(movements: Iterable[Movement]) -> dict[int, tuple[int, int]]:
    """Per pool, by id: the change of `on_hand` and of `reserved`; each row is then written once."""
    on_hand: defaultdict[int, int] = defaultdict(int)
    reserved: defaultdict[int, int] = defaultdict(int)
    for movement in movements:
        on_hand[movement.pool_id] += movement.on_hand_delta
        reserved[movement.pool_id] += movement.reserved_delta
    return {pool_id: (on_hand[pool_id], reserved[pool_id]) for pool_id in sorted(on_hand)}
