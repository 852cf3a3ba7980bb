"""Read, set or adjust the stock of a SKU's normal sale by hand.

Each change leaves a movement, and the gate learns it after the commit; a gate that is down learns it from
the reconciler. What is reserved for orders cannot be taken away.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from app.lib.auth import Caller
from app.lib.bounds import ON_HAND_MAX
from app.lib.errors import Conflict, NotFound
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection, Pool, transaction
from app.lib.sql import load
from app.stock.gate import Gate
from app.stock.schemas import AdjustStock, SetStock, StockLevel

sql = load("stock_admin")


class NormalPool(NamedTuple):
    """The pool of a SKU's normal sale."""

    sku_id: str
    pool_id: int
    on_hand: int
    reserved: int
    version: int
    shop_id: str


async def read_stock(pool: Pool, caller: Caller, sku_id: str) -> StockLevel:
    """Raises NotFound (`sku_not_found`) and Forbidden."""
    found = _found(await pool.fetchrow(sql.read_normal_pool, sku_id), caller, sku_id)
    return StockLevel(sku_id, found.on_hand, found.reserved, found.version)


async def set_stock(pool: Pool, gate: Gate, caller: Caller, sku_id: str, wanted: SetStock) -> StockLevel:
    """Raises NotFound (`sku_not_found`), Forbidden, Conflict (`version_passed`, `below_reserved`)."""
    async with transaction(pool) as connection:
        locked = await _lock(connection, caller, sku_id)
        if wanted.expected_version not in (None, locked.version):
            raise Conflict(
                "the stock has moved since it was read",
                code="version_passed",
                **{"version": locked.version, "on_hand": locked.on_hand, "reserved": locked.reserved},
            )
        level = await _change(connection, locked, "set", wanted.on_hand - locked.on_hand, None)
    await gate.load([(locked.shop_id, locked.pool_id)])
    return level


async def adjust_stock(
    pool: Pool, gate: Gate, caller: Caller, sku_id: str, key: str | None, wanted: AdjustStock
) -> Answer:
    """Raises what `set_stock` raises, `on_hand_too_large`, and what a wrong Idempotency-Key does."""
    once = identify("stock/adjust", caller.sub, key, (sku_id, wanted))
    changed: list[NormalPool] = []

    async def effect(connection: Connection) -> Answer:
        locked = await _lock(connection, caller, sku_id)
        level = await _change(connection, locked, "adjust", wanted.delta, wanted.reason)
        changed.append(locked)
        return Answer(200, msgspec.json.encode(level))

    answer = await run_once(pool, once, effect)
    await gate.load([(locked.shop_id, locked.pool_id) for locked in changed])
    return answer


async def _lock(connection: Connection, caller: Caller, sku_id: str) -> NormalPool:
    return _found(await connection.fetchrow(sql.lock_normal_pool, sku_id), caller, sku_id)


def _found(row: Any, caller: Caller, sku_id: str) -> NormalPool:
    if row is None:
        raise NotFound(f"there is no SKU {sku_id}", code="sku_not_found")
    found = NormalPool(sku_id, **row)
    caller.require_shop(found.shop_id)
    return found


async def _change(
    connection: Connection, locked: NormalPool, kind: str, delta: int, reason: str | None
) -> StockLevel:
    """Nothing is written where nothing changes."""
    if delta == 0:
        return StockLevel(locked.sku_id, locked.on_hand, locked.reserved, locked.version)
    if locked.on_hand + delta < locked.reserved:
        raise Conflict(
            f"{locked.reserved} units are reserved for orders",
            code="below_reserved",
            **{"on_hand": locked.on_hand, "reserved": locked.reserved},
        )
    if locked.on_hand + delta > ON_HAND_MAX:
        raise Conflict(f"a stock holds at most {ON_HAND_MAX} units", code="on_hand_too_large")
    row = await connection.fetchrow(sql.change_on_hand, locked.pool_id, kind, delta, reason)
    assert row is not None, "the row is locked, so it is there"
    return StockLevel(locked.sku_id, **row)
