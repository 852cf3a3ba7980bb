"""The points, gift cards and red packets that an order takes (app/checkout/claims.py).

Frozen with the order, spent when it is paid (use.py), back where they were when it is canceled (release.py);
each step a posting of double entries under the order's id. Must hold: whatever belongs to a balance (a
buyer's lots of points, a card's end, a packet's state) changes only under the lock of that balance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from app.balances.accounts import frozen
from app.balances.book import Account, Posting, book, lock_balances, merge, transfer
from app.balances.deductions import Taken, sum_up
from app.checkout.errors import BalanceTooLow
from app.checkout.schemas import Checkout
from app.lib.postgres import Connection
from app.lib.sql import load
from app.points.lots import Lot, spend, usable
from app.red_packets.state import RedPacketStatus, sources

sql = load("balances")
points_sql = load("points")
cards_sql = load("gift_cards")
packets_sql = load("red_packets")


class Packet(msgspec.Struct, gc=False):
    buyer_id: str
    status: str
    expires_at: datetime


class Locked(msgspec.Struct, gc=False):
    """What a batch may take; `take` counts down in it."""

    balances: dict[Account, int]
    # of each buyer whose points are wanted
    lots: dict[str, list[Lot]]
    # by id
    packets: dict[str, Packet]
    card_ends: dict[str, datetime]
    # what was taken from which lot: (order, lot, points)
    from_lots: list[tuple[int, int, int]] = []


def wanted_by(checkout: Checkout) -> bool:
    return bool(checkout.deductions)


async def lock(connection: Connection, checkouts: Sequence[Checkout]) -> Locked:
    wanted = [each for checkout in checkouts for each in checkout.deductions]
    balances = await lock_balances(connection, [(each.account, each.currency) for each in wanted])
    return Locked(
        balances,
        await _read_lots(connection, {each.buyer_id for each in checkouts if _wants(each, "points")}),
        {
            str(row["packet_id"]): Packet(row["buyer_id"], row["status"], row["expires_at"])
            for row in await connection.fetch(packets_sql.packets_by_id, _source_ids(checkouts, "red_packet"))
        },
        {
            str(row["card_id"]): row["expires_at"]
            for row in await connection.fetch(cards_sql.card_ends, _source_ids(checkouts, "gift_card"))
        },
    )


def _wants(checkout: Checkout, kind: str) -> bool:
    return any([each.kind == kind for each in checkout.deductions])


def _source_ids(checkouts: Sequence[Checkout], kind: str) -> list[int]:
    return [int(each.source_id) for one in checkouts for each in one.deductions if each.kind == kind]


async def _read_lots(connection: Connection, buyer_ids: Iterable[str]) -> dict[str, list[Lot]]:
    lots: dict[str, list[Lot]] = {buyer_id: [] for buyer_id in buyer_ids}
    if lots:
        for row in await connection.fetch(points_sql.read_lots, list(lots)):
            lots[row["buyer_id"]].append(Lot(row["lot_id"], row["remaining"], row["expires_at"]))
    return lots


def refuse(checkout: Checkout, locked: Locked) -> BalanceTooLow | None:
    short = [
        {"kind": taken.kind, "rule_id": taken.source_id}
        for taken in sum_up(checkout.deductions)
        if _available(taken, checkout, locked) < taken.amount
    ]
    return BalanceTooLow(short=short) if short else None


def _available(taken: Taken, checkout: Checkout, locked: Locked) -> int:
    """What of this balance can be taken now; nothing of one that has ended, or is not the buyer's."""
    held, now = locked.balances.get((taken.account, taken.currency), 0), checkout.created_at
    if taken.kind == "points":
        return sum([lot.remaining for lot in usable(locked.lots[checkout.buyer_id], now)])
    if taken.kind == "gift_card":
        return held if locked.card_ends[taken.source_id] > now else 0
    packet = locked.packets[taken.source_id]
    good = packet.buyer_id == checkout.buyer_id and packet.status == RedPacketStatus.AVAILABLE
    return held if good and packet.expires_at > now else 0


def take(checkout: Checkout, locked: Locked) -> None:
    for taken in sum_up(checkout.deductions):
        locked.balances[taken.account, taken.currency] -= taken.amount
        if taken.kind == "points":
            lots = usable(locked.lots[checkout.buyer_id], checkout.created_at)
            parts = spend(lots, taken.amount)
            locked.from_lots += [(checkout.root.order_id, *part) for part in parts]
        elif taken.kind == "red_packet":
            locked.packets[taken.source_id].status = RedPacketStatus.LOCKED


async def write(connection: Connection, placed: Sequence[Checkout], locked: Locked) -> None:
    postings = [_freeze(checkout) for checkout in placed]
    await book(connection, postings, placed[0].created_at)
    rows = [
        (checkout.root.order_id, *msgspec.structs.astuple(each))
        for checkout in placed
        for each in checkout.deductions
    ]
    await connection.execute(sql.add_deductions, *map(list, zip(*rows, strict=True)))
    if locked.from_lots:
        root_ids, lot_ids, points = map(list, zip(*locked.from_lots, strict=True))
        await connection.execute(points_sql.change_lots, lot_ids, [-each for each in points])
        await connection.execute(points_sql.add_lot_uses, root_ids, lot_ids, points)
    packets = {
        int(each.source_id): checkout.root.order_id
        for checkout in placed
        for each in checkout.deductions
        if each.kind == "red_packet"
    }
    if packets:
        await connection.execute(
            packets_sql.lock_packets_to_orders,
            list(packets),
            list(packets.values()),
            sources(RedPacketStatus.LOCKED),
        )


def _freeze(checkout: Checkout) -> Posting:
    entries = [
        entry
        for taken in sum_up(checkout.deductions)
        for entry in transfer(taken.currency, taken.amount, taken.account, frozen(taken.kind))
    ]
    return Posting("freeze", checkout.root.order_id, merge(entries), checkout.root.order_id)
