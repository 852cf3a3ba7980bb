"""The map of a SKU with what of it is taken, for the staff."""

from __future__ import annotations

from typing import Any

from app.lib.auth import Caller
from app.lib.errors import NotFound
from app.lib.postgres import Connection, Pool
from app.lib.sql import load
from app.seats.schemas import GivenSeat, SeatMapView, SeatRowView

sql = load("seats")


async def show_map(pool: Pool, caller: Caller, sku_id: str) -> SeatMapView:
    """Raises NotFound (`sku_not_found`), Forbidden."""
    async with pool.acquire() as connection:
        item = await connection.fetchrow(sql.read_item_of_sku, sku_id)
        if item is None:
            raise NotFound(f"there is no SKU {sku_id}", code="sku_not_found")
        caller.require_shop(item["shop_id"])
        return await read_map(connection, sku_id)


async def read_map(connection: Connection, sku_id: str) -> SeatMapView:
    session = await connection.fetchval(sql.read_map, sku_id)
    rows = [_row(row) for row in await connection.fetch(sql.read_rows, sku_id)]
    seats = sum(len(row.seats) - row.seats.count(None) for row in rows)
    return SeatMapView(sku_id, session, seats, seats - sum(len(row.taken) for row in rows), rows)


def _row(row: Any) -> SeatRowView:
    seats: list[str | None] = [None] * (row["positions"][-1] + 1)
    for position, number in zip(row["positions"], row["numbers"], strict=True):
        seats[position] = number
    taken = [
        GivenSeat(number, str(order_id))
        for number, order_id in zip(row["numbers"], row["order_ids"], strict=True)
        if order_id is not None
    ]
    return SeatRowView(row["row_name"], seats, taken)
