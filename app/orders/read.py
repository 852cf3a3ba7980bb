"""Orders as their buyer or their shop sees them: lists in pages, newest first, and the detail.

An order that was split by shop is one entry until it is paid; then its children stand in its place. Whoever
may not see an order is told that it does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import asyncpg
import msgspec

from app.lib.auth import Caller
from app.lib.ids import parse_id
from app.lib.page import Page
from app.lib.parameters import before
from app.lib.postgres import Pool
from app.lib.sql import load
from app.orders.errors import OrderNotFound
from app.orders.schemas import (
    LineDiscount,
    ListedLine,
    ListedOrder,
    OrderDetail,
    OrderLine,
    PaymentEntry,
    PriceChangeEntry,
    RefundEntry,
    ShopOrder,
)
from app.orders.state import OrderStatus
from app.seats.schemas import read_seats

sql = load("orders")

NORMAL_SALE = "0"
# What belongs to an order comes with its row, as JSON.
_read_lines = msgspec.json.Decoder(list[ListedLine]).decode
_read_payments = msgspec.json.Decoder(list[PaymentEntry]).decode
_read_refunds = msgspec.json.Decoder(list[RefundEntry]).decode
_read_price_changes = msgspec.json.Decoder(list[PriceChangeEntry]).decode
# Beside what rules gave, so that a line's discounts add up to its discount.
PRICE_CHANGE = {"kind": "price_change", "rule_id": "price_change", "name": "Price change by the shop"}


async def list_buyer_orders(
    pool: Pool, buyer_id: str, statuses: Sequence[OrderStatus] | None, cursor: str, limit: int
) -> Page[ListedOrder]:
    rows = await pool.fetch(sql.list_buyer_orders, buyer_id, statuses, before(cursor), limit + 1)
    return _page(rows, limit)


async def list_orders(
    pool: Pool,
    shop_id: str | None,
    buyer_id: str | None,
    statuses: Sequence[OrderStatus] | None,
    cursor: str,
    limit: int,
) -> Page[ListedOrder]:
    """Orders of one shop, or of all where `shop_id` is None."""
    rows = await pool.fetch(sql.list_orders, before(cursor), shop_id, buyer_id, statuses, limit + 1)
    return _page(rows, limit)


def _page(rows: Sequence[asyncpg.Record], limit: int) -> Page[ListedOrder]:
    entries = [_convert(row, ListedOrder, lines=_read_lines(row["lines"])) for row in rows]
    return Page.cut(entries, limit, lambda entry: entry.order_id)


async def read_buyer_order(pool: Pool, buyer_id: str, order_id: str) -> OrderDetail:
    """Raises OrderNotFound, also when it is somebody else's."""
    detail = await _read(pool, order_id, lambda order: bool(order["buyer_id"] == buyer_id))
    for change in detail.price_changes:
        change.changed_by = None
    return detail


async def read_order(pool: Pool, staff: Caller, order_id: str) -> OrderDetail:
    """For an operator, or a merchant and its own shop's order. Raises OrderNotFound."""
    return await _read(
        pool, order_id, lambda order: staff.role == "op" or bool(order["shop_id"] == staff.shop_id)
    )


async def _read(pool: Pool, order_id: str, may_see: Callable[[asyncpg.Record], bool]) -> OrderDetail:
    number = parse_id(order_id)
    order = await pool.fetchrow(sql.read_order, number)
    if order is None or not may_see(order):
        raise OrderNotFound()
    parts = await pool.fetch(sql.read_children, number) if order["shop_id"] is None else [order]
    lines = await pool.fetch(sql.read_lines, [part["order_id"] for part in parts])
    return _convert(
        order,
        OrderDetail,
        activity_id=None if order["activity_id"] == NORMAL_SALE else order["activity_id"],
        shops=[_shop_order(part, lines) for part in parts],
        applied=_applied(lines),
        payments=_read_payments(order["payments"]),
        refunds=_read_refunds(order["refunds"]),
        price_changes=_read_price_changes(order["price_changes"]),
    )


def _shop_order(order: asyncpg.Record, lines: Iterable[asyncpg.Record]) -> ShopOrder:
    own = [
        _convert(
            line,
            OrderLine,
            discount_minor=_discount(line),
            discounts=_discounts(line),
            seats=read_seats(line["seats"]),
        )
        for line in lines
        if line["order_id"] == order["order_id"]
    ]
    return _convert(order, ShopOrder, discount_minor=_discount(order), lines=own)


def _discount(row: asyncpg.Record) -> int:
    """What was taken off: the sum of its kinds, each of which has its column."""
    return int(row["goods_minor"] + row["freight_minor"] + row["tax_minor"] - row["payable_minor"])


def _discounts(line: asyncpg.Record) -> list[dict[str, Any]]:
    given = list(line["discounts"] or ())
    if line["price_change_minor"]:
        given.append({**PRICE_CHANGE, "amount_minor": line["price_change_minor"]})
    return given


def _applied(lines: Iterable[asyncpg.Record]) -> list[LineDiscount]:
    """What each rule gave over all lines, in the order in which they first appear."""
    totals: dict[tuple[str, str, str], LineDiscount] = {}
    for line in lines:
        for discount in _discounts(line):
            key = (discount["kind"], discount["rule_id"], discount["name"])
            total = totals.setdefault(key, LineDiscount(*key, amount_minor=0))
            total.amount_minor += discount["amount_minor"]
            total.freight_minor += discount.get("freight_minor", 0)
    return list(totals.values())


Shape = TypeVar("Shape", bound=msgspec.Struct)


def _convert(row: asyncpg.Record, shape: type[Shape], **more: object) -> Shape:
    """A row as a Struct: its columns by name, ids as strings."""
    wanted = {name: row[name] for name in shape.__struct_fields__ if name not in more}
    ids = {name: str(value) for name, value in wanted.items() if name.endswith("_id") and value is not None}
    return msgspec.convert({**wanted, **ids, **more}, shape)
