"""What may be changed of a flash sale, and how many units that moves. Pure: no I/O.

Before it starts anything; while it is open its start, its prices and its SKUs stay as buyers see them (more
SKUs may come), and its quantities go up or down, never below what is sold or reserved; once it has ended
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from app.flash_sales.documents import FlashSaleDocument, FlashSaleItem
from app.lib.errors import Conflict, Unprocessable

NORMAL = "0"


class Current(Struct, frozen=True):
    """A flash sale as the ledger has it."""

    document: FlashSaleDocument
    ended: bool


class LockedPool(NamedTuple):
    """A pool whose row the transaction has locked."""

    pool_id: int
    sku_id: str
    activity_id: str
    on_hand: int
    reserved: int
    shop_id: str


def same(one: FlashSaleDocument, other: FlashSaleDocument) -> bool:
    """Whether two documents say the same; the order of their items does not matter."""
    return (one.name, one.starts_at, one.ends_at, _by_sku(one)) == (
        *(other.name, other.starts_at, other.ends_at),
        _by_sku(other),
    )


def _by_sku(document: FlashSaleDocument) -> dict[str, FlashSaleItem]:
    return {item.sku_id: item for item in document.items}


def check_change(current: Current | None, wanted: FlashSaleDocument, now: datetime) -> None:
    """Raises Unprocessable (`window_over`) and Conflict (`flash_sale_ended`, `flash_sale_open`)."""
    if current is not None and (current.ended or current.document.ends_at <= now):
        raise Conflict("a flash sale that has ended cannot be changed", code="flash_sale_ended")
    if wanted.ends_at <= now:
        raise Unprocessable("the sale would have ended already", code="window_over")
    if current is not None and current.document.starts_at <= now:
        _check_open(current.document, wanted)


def _check_open(current: FlashSaleDocument, wanted: FlashSaleDocument) -> None:
    listed = _by_sku(wanted)
    changed = [
        item.sku_id
        for item in current.items
        if item.sku_id not in listed
        or (item.currency, item.price_minor)
        != (listed[item.sku_id].currency, listed[item.sku_id].price_minor)
    ]
    if changed or wanted.starts_at != current.starts_at:
        raise Conflict(
            "while the sale is open, its start, its SKUs and their prices stay",
            code="flash_sale_open",
            sku_ids=changed,
        )


def plan_moves(
    current: FlashSaleDocument | None, wanted: FlashSaleDocument, pools: Iterable[LockedPool]
) -> dict[int, int]:
    """Units that each pool gains or loses, by pool id, so that every SKU's quantity becomes as wanted.

    Raises Conflict: `out_of_stock` (`sku_ids`) when normal sale has too little free, `below_reserved`
    (`sku_ids`) when units to be taken back are sold or reserved.
    """
    before = {} if current is None else {item.sku_id: item.quantity for item in current.items}
    after = {item.sku_id: item.quantity for item in wanted.items}
    deltas = {sku_id: after.get(sku_id, 0) - before.get(sku_id, 0) for sku_id in before | after}
    moves: dict[int, int] = {}
    short: list[str] = []
    taken: list[str] = []
    for pool in pools:
        delta = deltas[pool.sku_id] if pool.activity_id != NORMAL else -deltas[pool.sku_id]
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
