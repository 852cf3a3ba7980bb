"""Publish a flash sale, or change it: its quantity is set aside from each SKU's normal stock at once.

All of it or nothing; the same document again changes nothing. The gate learns the pools after the commit.
"""

from __future__ import annotations

from datetime import datetime

from app.flash_sales.change import Current, check_change, deltas, same
from app.flash_sales.documents import FlashSaleDocument, FlashSaleView
from app.flash_sales.read import lock_sale, read_flash_sale
from app.lib.auth import Caller
from app.lib.errors import InvalidRequest, NotFound
from app.lib.postgres import Connection, Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.stock.gate import Gate
from app.stock.set_aside import (
    CAMPAIGN_PREFIX,
    NORMAL,
    LockedPool,
    close_pools,
    lock_pools,
    open_pools,
    pools_by_sku,
    set_aside,
)

sql = load("flash_sale_admin")


async def publish(
    pool: Pool, gate: Gate, caller: Caller, activity_id: str, wanted: FlashSaleDocument, now: datetime
) -> FlashSaleView:
    """Raises NotFound (`sku_not_found`), Forbidden, and what `check_change` and `set_aside` raise."""
    if activity_id == NORMAL:
        raise InvalidRequest("the id 0 stands for normal sale")
    if activity_id.startswith(CAMPAIGN_PREFIX):
        raise InvalidRequest(f"ids that begin with {CAMPAIGN_PREFIX} stand for group-buy campaigns")
    async with transaction(pool) as connection:
        version = await lock_version(connection, "flash_sales")
        current = await lock_sale(connection, activity_id)
        await _check_skus(connection, caller, current, wanted)
        if current is not None and same(current.document, wanted):
            return await read_flash_sale(connection, activity_id, now)
        check_change(current, wanted, now)
        await connection.execute(
            sql.upsert_sale, activity_id, wanted.name, wanted.starts_at, wanted.ends_at, version
        )
        pools = await _move_stock(connection, activity_id, current, wanted)
        await _write_items(connection, activity_id, current, wanted, pools)
        await publish_version(connection, "flash_sales", version)
    await gate.load([(each.shop_id, each.pool_id) for each in pools])
    return await read_flash_sale(pool, activity_id, now)


async def _check_skus(
    connection: Connection, caller: Caller, current: Current | None, wanted: FlashSaleDocument
) -> None:
    """All SKUs are on sale, and a merchant's sale has its own shop's SKUs only, before and after."""
    listed, sold = _sku_ids(wanted), _sku_ids(current.document if current else None)
    rows = await connection.fetch(sql.shops_of_skus, list(listed | sold))
    for row in rows:
        caller.require_shop(row["shop_id"])
    if missing := sorted(listed - sold - {row["sku_id"] for row in rows}):
        raise NotFound("these SKUs are not on sale", code="sku_not_found", sku_ids=missing)


async def _move_stock(
    connection: Connection, activity_id: str, current: Current | None, wanted: FlashSaleDocument
) -> list[LockedPool]:
    """Returns every pool of the SKUs that the sale has or had."""
    listed, sold = _sku_ids(wanted), _sku_ids(current.document if current else None)
    pools = await lock_pools(connection, activity_id, listed | sold)
    moved = deltas(current.document if current else None, wanted)
    await set_aside(connection, activity_id, moved, pools)
    own_pools = pools_by_sku(pools, activity_id)
    await open_pools(connection, [own_pools[sku_id] for sku_id in listed])
    return pools


async def _write_items(
    connection: Connection,
    activity_id: str,
    current: Current | None,
    wanted: FlashSaleDocument,
    pools: list[LockedPool],
) -> None:
    own_pools = pools_by_sku(pools, activity_id)
    items = wanted.items
    await connection.execute(
        sql.upsert_items,
        activity_id,
        [item.sku_id for item in items],
        [item.currency for item in items],
        [item.price_minor for item in items],
        [item.quantity for item in items],
        [item.per_buyer_max for item in items],
        [own_pools[item.sku_id] for item in items],
    )
    if dropped := _sku_ids(current.document if current else None) - _sku_ids(wanted):
        await connection.execute(sql.delete_items, activity_id, list(dropped))
        await close_pools(connection, [own_pools[sku_id] for sku_id in dropped])


def _sku_ids(document: FlashSaleDocument | None) -> set[str]:
    return set() if document is None else {item.sku_id for item in document.items}
