"""An activity's own stock: set aside from normal sale when it is published, put back when it ends.

Flash sales and group-buy campaigns sell from pools of their own. Each verb works inside the caller's
transaction; the gate learns the pools after the commit (`gate.load`). No unit is made or lost: what one pool
gains the other loses, and both movements name the activity.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from app.lib.errors import Conflict
from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("stock_set_aside")

# The activity that stands for normal sale.
NORMAL = "0"
# Campaigns' activities; a flash sale is called as its shop likes, but not like this.
CAMPAIGN_PREFIX = "campaign:"


class LockedPool(NamedTuple):
    """A pool whose row the transaction has locked."""

    pool_id: int
    sku_id: str
    activity_id: str
    on_hand: int
    reserved: int
    shop_id: str


async def lock_pools(connection: Connection, activity_id: str, sku_ids: Collection[str]) -> list[LockedPool]:
    """The SKUs' pools of the activity, made where there are none, and of normal sale."""
    await connection.execute(sql.add_pools, activity_id, list(sku_ids))
    return [LockedPool(**row) for row in await connection.fetch(sql.lock_pools, list(sku_ids), activity_id)]


async def set_aside(
    connection: Connection, activity_id: str, deltas: Mapping[str, int], pools: Iterable[LockedPool]
) -> None:
    """Move `deltas[sku_id]` units from normal sale into the activity's pool, or back where it is negative.

    Raises Conflict: `out_of_stock` (`sku_ids`) when normal sale has too little free, `below_reserved`
    (`sku_ids`) when units to be taken back are sold or reserved.
    """
    moves = plan_moves(deltas, pools)
    await connection.execute(sql.move_stock, list(moves), list(moves.values()), activity_id)


async def put_back(connection: Connection, activity_id: str, pools: Iterable[LockedPool]) -> None:
    """The activity has ended: what is free goes back to normal sale, and its pools take no more orders."""
    pools = list(pools)
    free = {each.sku_id: each.reserved - each.on_hand for each in pools if each.activity_id == activity_id}
    await set_aside(connection, activity_id, free, pools)
    await close_pools(connection, list(pools_by_sku(pools, activity_id).values()))


async def open_pools(connection: Connection, pool_ids: Collection[int]) -> None:
    """They take orders again."""
    await connection.execute(sql.reopen_pools, list(pool_ids))


async def close_pools(connection: Connection, pool_ids: Collection[int]) -> None:
    """They take no more orders; what comes back after the activity's end goes to normal sale."""
    await connection.execute(sql.close_pools, list(pool_ids))


def plan_moves(deltas: Mapping[str, int], pools: Iterable[LockedPool]) -> dict[int, int]:
    """Units that each pool gains or loses, by pool id. Pure; raises what `set_aside` raises."""
    moves: dict[int, int] = {}
    short: list[str] = []
    taken: list[str] = []
    for pool in pools:
        delta = deltas.get(pool.sku_id, 0) * (1 if pool.activity_id != NORMAL else -1)
        if delta:
            moves[pool.pool_id] = delta
        if pool.on_hand + delta < pool.reserved:
            (short if pool.activity_id == NORMAL else taken).append(pool.sku_id)
    if short:
        raise Conflict("too little is free in normal sale", code="out_of_stock", sku_ids=sorted(short))
    if taken:
        raise Conflict("these units are sold or reserved", code="below_reserved", sku_ids=sorted(taken))
    return moves


def pools_by_sku(pools: Iterable[LockedPool], activity_id: str) -> Mapping[str, int]:
    """The pool of each SKU in an activity."""
    return {pool.sku_id: pool.pool_id for pool in pools if pool.activity_id == activity_id}
