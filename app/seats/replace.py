"""Draw the map of a SKU's seats, or draw it anew.

A SKU is one session and ticket category, so it has one map, whichever campaigns sell it. Seats that somebody
has stay; where one would vanish nothing changes. A map that comes after groups have succeeded seats them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from app.lib.auth import Caller
from app.lib.errors import NotFound
from app.lib.postgres import Connection, Pool, transaction
from app.lib.sql import load
from app.seats.errors import SeatsGiven, SeatsOfOtherSku, TooFewSeats
from app.seats.give import give
from app.seats.read import read_map
from app.seats.schemas import SeatMapDocument, SeatMapView, SeatRow
from app.seats.suffice import require_seats

sql = load("seats")

# Seats that a refusal names: a map of another session would name thousands.
NAMED_MAX = 100


class Columns(NamedTuple):
    """The seats of a map, as the statements take them."""

    rows: list[str]
    numbers: list[str]
    ranks: list[int]
    positions: list[int]


async def replace(pool: Pool, caller: Caller, sku_id: str, wanted: SeatMapDocument) -> SeatMapView:
    """Raises NotFound (`sku_not_found`), Forbidden, SeatsOfOtherSku, SeatsGiven, TooFewSeats."""
    seats = columns(wanted.rows)
    async with transaction(pool) as connection:
        item = await connection.fetchrow(sql.lock_item_of_sku, sku_id)
        if item is None:
            raise NotFound(f"there is no SKU {sku_id}", code="sku_not_found")
        caller.require_shop(item["shop_id"])
        await connection.execute(sql.lock_pools, sku_id)
        known = await connection.fetch(sql.lock_maps, [sku_id])
        await _refuse(connection, sku_id, item["item_id"], wanted.session, seats)
        await connection.execute(sql.delete_free_seats, sku_id)
        if wanted.rows:
            await connection.execute(sql.put_map, sku_id, wanted.session)
            await connection.execute(sql.put_seats, sku_id, *seats)
            await _seat_who_waits(connection, sku_id)
            await require_seats(connection, [sku_id])
        elif known:
            await require_seats(connection, [sku_id])  # it is on sale with seats
            await connection.execute(sql.delete_map, sku_id)
        return await read_map(connection, sku_id)


def columns(rows: list[SeatRow]) -> Columns:
    """A position counts the gaps before it, so that seats with an aisle between are no neighbours."""
    seats = [
        (row.row, number, rank, position)
        for rank, row in enumerate(rows)
        for position, number in enumerate(row.seats)
        if number is not None
    ]
    return Columns(*map(list, zip(*seats, strict=True))) if seats else Columns([], [], [], [])


async def _refuse(connection: Connection, sku_id: str, item_id: str, session: str, seats: Columns) -> None:
    lost = await connection.fetch(sql.given_seats_not_among, sku_id, seats.rows, seats.numbers)
    if lost:
        raise SeatsGiven(seats=[_name(row) for row in lost[:NAMED_MAX]])
    shared = await connection.fetch(
        sql.seats_of_other_maps, sku_id, item_id, session, seats.rows, seats.numbers
    )
    if shared:
        raise SeatsOfOtherSku(seats=[_name(row) | {"sku_id": row["sku_id"]} for row in shared[:NAMED_MAX]])


async def _seat_who_waits(connection: Connection, sku_id: str) -> None:
    """Raises TooFewSeats."""
    order_ids = [row["order_id"] for row in await connection.fetch(sql.orders_of_sku, sku_id)]
    if order_ids and await give(connection, await connection.fetch(sql.claims, order_ids)):
        raise TooFewSeats("groups that have succeeded wait for more seats", sku_ids=[sku_id])


def _name(row: Any) -> dict[str, str]:
    return {"row": row["row_name"], "number": row["number"]}
