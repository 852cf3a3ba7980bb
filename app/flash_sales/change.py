"""What may be changed of a flash sale, and how many units that moves. Pure: no I/O.

Before it starts anything; while it is open its start, its prices and its SKUs stay as buyers see them (more
SKUs may come), and its quantities go up or down, never below what is sold or reserved; once it has ended
nothing.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from app.flash_sales.documents import FlashSaleDocument, FlashSaleItem
from app.lib.errors import Conflict, Unprocessable


class Current(Struct, frozen=True):
    """A flash sale as the ledger has it."""

    document: FlashSaleDocument
    ended: bool


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


def deltas(current: FlashSaleDocument | None, wanted: FlashSaleDocument) -> dict[str, int]:
    """Units that each SKU's pool must gain, by SKU id, so that its quantity becomes as wanted."""
    before = {} if current is None else {item.sku_id: item.quantity for item in current.items}
    after = {item.sku_id: item.quantity for item in wanted.items}
    return {sku_id: after.get(sku_id, 0) - before.get(sku_id, 0) for sku_id in before | after}
