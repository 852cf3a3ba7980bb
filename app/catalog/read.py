"""Read the catalog as operators and merchants see it: from the ledger, withdrawn SKUs included."""

from __future__ import annotations

from typing import Any

import msgspec

from app.catalog.documents import Item, Shop
from app.lib.errors import NotFound
from app.lib.page import Page, after
from app.lib.postgres import Connection, Pool
from app.lib.sql import load

sql = load("catalog")


async def read_shop(connection: Connection | Pool, shop_id: str) -> Shop:
    row = await connection.fetchrow(sql.read_shop, shop_id)
    if row is None:
        raise NotFound(f"there is no shop {shop_id}", code="shop_not_found")
    return Shop(**row)


async def check_freight_template(connection: Connection, shop_id: str, template_id: str | None) -> None:
    """Raises NotFound (`freight_template_not_found`), also when it is another shop's."""
    if template_id is None:
        return
    if await connection.fetchval(sql.shop_of_freight_template, template_id) != shop_id:
        raise NotFound(f"the shop has no freight template {template_id}", code="freight_template_not_found")


async def list_shops(pool: Pool, only: str | None, cursor: str, limit: int) -> Page[Shop]:
    """`only` names a merchant's own shop; None lists all."""
    rows = await pool.fetch(sql.list_shops, after(cursor), only, limit + 1)
    return Page.cut_by_name([Shop(**row) for row in rows], limit, lambda shop: shop.shop_id)


async def read_item(connection: Connection | Pool, item_id: str) -> Item:
    rows = await connection.fetch(sql.read_items, [item_id])
    if not rows:
        raise NotFound(f"there is no item {item_id}", code="item_not_found")
    return _item(rows[0])


async def list_items(pool: Pool, shop_id: str | None, cursor: str, limit: int) -> Page[Item]:
    """Items of one shop, or of all."""
    ids = [row["item_id"] for row in await pool.fetch(sql.list_item_ids, after(cursor), shop_id, limit + 1)]
    rows = await pool.fetch(sql.read_items, ids)
    return Page.cut_by_name([_item(row) for row in rows], limit, lambda item: item.item_id)


def _item(row: Any) -> Item:
    return msgspec.convert(dict(row), Item)
