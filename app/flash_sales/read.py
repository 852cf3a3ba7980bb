"""Read flash sales as operators and merchants see them, from the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.flash_sales.change import Current
from app.flash_sales.documents import FlashSaleDocument, FlashSaleItem, FlashSaleItemView, FlashSaleView
from app.lib.errors import NotFound
from app.lib.page import Page, after
from app.lib.postgres import Connection, Pool
from app.lib.sql import load

sql = load("flash_sale_admin")


async def lock_sale(connection: Connection, activity_id: str) -> Current | None:
    """The sale as it stands, locked; None when there is none."""
    sale = await connection.fetchrow(sql.lock_sale, activity_id)
    if sale is None:
        return None
    rows = await connection.fetch(sql.read_items, [activity_id])
    items = [
        FlashSaleItem(
            row["sku_id"], row["currency"], row["price_minor"], row["quantity"], row["per_buyer_max"]
        )
        for row in rows
    ]
    document = FlashSaleDocument(sale["name"], sale["starts_at"], sale["ends_at"], items)
    return Current(document, sale["ended_at"] is not None)


async def read_flash_sale(connection: Connection | Pool, activity_id: str, now: datetime) -> FlashSaleView:
    found = await _read(connection, [activity_id], now)
    if not found:
        raise NotFound(f"there is no flash sale {activity_id}", code="flash_sale_not_found")
    return found[0]


async def list_flash_sales(
    pool: Pool, shop_id: str | None, cursor: str, limit: int, now: datetime
) -> Page[FlashSaleView]:
    """All, or those that sell a shop's SKUs."""
    ids = [row["activity_id"] for row in await pool.fetch(sql.list_ids, after(cursor), shop_id, limit + 1)]
    return Page.cut_by_name(await _read(pool, ids, now), limit, lambda sale: sale.activity_id)


async def _read(
    connection: Connection | Pool, activity_ids: Sequence[str], now: datetime
) -> list[FlashSaleView]:
    items: dict[str, list[FlashSaleItemView]] = defaultdict(list)
    for row in await connection.fetch(sql.read_items, activity_ids):
        fields: dict[str, Any] = dict(row)
        del fields["pool_id"]
        items[fields.pop("activity_id")].append(FlashSaleItemView(**fields))
    sales = await connection.fetch(sql.read_sales, activity_ids)
    return [_view(sale, items[sale["activity_id"]], now) for sale in sales]


def _view(sale: Any, items: list[FlashSaleItemView], now: datetime) -> FlashSaleView:
    ended = sale["ended_at"] is not None or sale["ends_at"] <= now
    return FlashSaleView(
        activity_id=sale["activity_id"],
        name=sale["name"],
        starts_at=sale["starts_at"],
        ends_at=sale["ends_at"],
        status="ended" if ended else "open" if sale["starts_at"] <= now else "scheduled",
        items=items,
    )
