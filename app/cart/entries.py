"""Set, list and remove what is in a buyer's cart."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from app.cart.schemas import CART_ENTRIES_MAX, Entry, SetEntry
from app.lib.errors import Conflict, NotFound
from app.lib.page import Page
from app.lib.postgres import Connection, Pool
from app.lib.sql import load

sql = load("cart")


async def set_entry(pool: Pool, buyer_id: str, entry: SetEntry, now: datetime) -> Page[Entry]:
    """The cart with the entry set. Raises NotFound (`sku_not_found`) and Conflict (`cart_full`)."""
    rows = await pool.fetch(sql.set_entry, buyer_id, entry.sku_id, entry.quantity, now, CART_ENTRIES_MAX)
    if rows:
        return _page(rows)
    if not await pool.fetchval(sql.sku_on_sale, entry.sku_id):
        raise NotFound(f"there is no SKU {entry.sku_id}", code="sku_not_found", sku_ids=[entry.sku_id])
    raise Conflict(f"a cart holds at most {CART_ENTRIES_MAX} SKUs", code="cart_full")


async def list_entries(pool: Pool, buyer_id: str) -> Page[Entry]:
    return _page(await pool.fetch(sql.list_entries, buyer_id))


def _page(rows: Sequence[asyncpg.Record]) -> Page[Entry]:
    """The whole cart: it is bounded, so one page holds it."""
    return Page([Entry(**row) for row in rows], None)


async def remove_entries(connection: Connection | Pool, buyer_id: str, sku_ids: Sequence[str]) -> None:
    """Take these SKUs out; those that are not in the cart do not matter."""
    await connection.execute(sql.remove_entries, buyer_id, sku_ids)


async def empty_cart(connection: Connection | Pool, buyer_id: str) -> None:
    await connection.execute(sql.remove_all_entries, buyer_id)
