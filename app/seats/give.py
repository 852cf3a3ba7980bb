"""Groups that succeed get their seats, in the transaction in which they succeed.

Enters: orders whose group has succeeded, of any number of groups, locked, their goods already taken from
stock: the maps' locks are the last in the global order. Leaves: the seats of each order. Must hold: a line
has its seats once, so asking again gives the same; a SKU without a map gives none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

import structlog

from app.lib.postgres import Connection
from app.lib.sql import load
from app.seats.assign import Party, Run, assign
from app.seats.schemas import Seat

log = structlog.get_logger()
sql = load("seats")


async def assign_seats(connection: Connection, order_ids: Sequence[int]) -> Mapping[int, list[Seat]]:
    """By order, the best first; an order that is not seated is left out.

    Call it once a transaction, for all its groups together, after their stock.
    """
    if not await connection.fetch(sql.lock_maps_of_orders, order_ids):
        return {}
    await give(connection, await connection.fetch(sql.claims, order_ids))
    seats: defaultdict[int, list[Seat]] = defaultdict(list)
    for row in await connection.fetch(sql.seats_of_orders, order_ids):
        seats[row["order_id"]].append(Seat(row["row_name"], row["number"]))
    return seats


async def give(connection: Connection, claims: Sequence[Any]) -> int:
    """Seats for these claims, whose maps are locked; returns how many of the claims got none.

    A map has a seat for all that may be sold (suffice.py). Should it not, the order stands, the audit names
    it, and a larger map seats it.
    """
    free = defaultdict(list)
    for sku_id, *run in await connection.fetch(sql.free_runs, [row["sku_id"] for row in claims]):
        free[sku_id].append(Run(*run))
    order_of = {row["line_id"]: row["order_id"] for row in claims}
    places = [
        (sku_id, place.rank, place.start, place.quantity, order_of[place.member_id], place.member_id)
        for sku_id, groups in _groups_by_sku(claims).items()
        for group in assign(free[sku_id], groups)
        for place in group
    ]
    if places:
        given = await connection.fetch(sql.give, *map(list, zip(*places, strict=True)))
        assert len(given) == sum(place[3] for place in places), "the maps are locked, the seats were free"
    without = order_of.keys() - {place[5] for place in places}
    if without:
        log.error("seats_missing", order_ids=sorted(order_of[line_id] for line_id in without))
    return len(without)


def _groups_by_sku(claims: Sequence[Any]) -> dict[str, list[list[Party]]]:
    """Members of one group may have bought different categories: each map seats its own."""
    groups: defaultdict[str, list[list[Party]]] = defaultdict(list)
    for (sku_id, _), members in groupby(claims, key=itemgetter("sku_id", "group_id")):
        groups[sku_id].append([Party(row["line_id"], row["seats"]) for row in members])
    return groups
