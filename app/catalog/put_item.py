"""Create or replace an item with its SKUs.

A SKU that is not listed any more is withdrawn: orders keep pointing at it. An item stays with its shop, and
a SKU may move between items of one shop only. The same document again changes nothing.
"""

from __future__ import annotations

from app.catalog.documents import Item, ItemDocument, stored_prices
from app.catalog.read import check_freight_template, read_item
from app.lib.errors import Conflict, NotFound
from app.lib.postgres import Connection, Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load

sql = load("catalog")


async def put_item(pool: Pool, item_id: str, document: ItemDocument) -> Item:
    """Raises NotFound (`shop_not_found`, `freight_template_not_found`) and Conflict (`item_of_other_shop`,
    `sku_of_other_shop`).
    """
    async with transaction(pool) as connection:
        version = await lock_version(connection, "catalog")
        await _check_owner(connection, item_id, document)
        await check_freight_template(connection, document.shop_id, document.freight_template_id)
        if await _write(connection, item_id, document, version):
            await publish_version(connection, "catalog", version)
        return await read_item(connection, item_id)


async def _check_owner(connection: Connection, item_id: str, document: ItemDocument) -> None:
    if await connection.fetchrow(sql.read_shop, document.shop_id) is None:
        raise NotFound(f"there is no shop {document.shop_id}", code="shop_not_found")
    owner = await connection.fetchval(sql.shop_of_item, item_id)
    if owner not in (None, document.shop_id):
        raise Conflict("the item belongs to another shop", code="item_of_other_shop")
    listed = [sku.sku_id for sku in document.skus]
    if taken := await connection.fetch(sql.skus_of_other_shops, listed, document.shop_id):
        sku_ids = [row["sku_id"] for row in taken]
        raise Conflict("these SKUs belong to another shop", code="sku_of_other_shop", sku_ids=sku_ids)


async def _write(connection: Connection, item_id: str, document: ItemDocument, version: int) -> bool:
    """Whether anything is different now."""
    skus = document.skus
    item_changed = await connection.fetchval(
        sql.upsert_item,
        item_id,
        document.shop_id,
        document.title,
        document.item_type,
        document.category_ids,
        document.freight_template_id,
        version,
    )
    listed = [sku.sku_id for sku in skus]
    withdrawn = await connection.fetch(sql.withdraw_skus, item_id, version, listed)
    changed = await connection.fetch(
        sql.upsert_skus,
        item_id,
        version,
        listed,
        list(range(len(skus))),
        [sku.attributes for sku in skus],
        [sku.weight_grams for sku in skus],
        [stored_prices(sku) for sku in skus],
        [sku.reserve_on for sku in skus],
    )
    await connection.execute(sql.add_normal_pools, listed)
    return bool(item_changed or withdrawn or changed)
