"""Groups as everyone sees them, and a buyer's own group orders."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from app.groups.errors import GroupNotFound, GroupOrderNotFound
from app.groups.ledger import GRACE, sql
from app.groups.schemas import Group, GroupOrder
from app.lib.page import Page
from app.lib.parameters import before
from app.lib.postgres import Pool
from app.seats.schemas import read_seats

Shape = TypeVar("Shape", bound=msgspec.Struct)


async def read_group(pool: Pool, group_id: int | None, share_code: str | None = None) -> Group:
    """By id or by share code. Raises GroupNotFound."""
    row = await pool.fetchrow(sql.show_group, group_id, share_code)
    if row is None:
        raise GroupNotFound()
    return _convert(row, Group)


async def list_group_orders(pool: Pool, buyer_id: str, cursor: str, limit: int) -> Page[GroupOrder]:
    rows = await pool.fetch(sql.group_orders_of_buyer, buyer_id, before(cursor), None, limit + 1)
    return Page.cut([_order(row) for row in rows], limit, lambda order: order.order_id)


async def read_group_order(pool: Pool, buyer_id: str, order_id: int) -> GroupOrder:
    """Raises GroupOrderNotFound, also for somebody else's."""
    row = await pool.fetchrow(sql.group_orders_of_buyer, buyer_id, before(""), order_id, 1)
    if row is None:
        raise GroupOrderNotFound()
    return _order(row)


def _order(row: Any) -> GroupOrder:
    deadline = row["pay_deadline"]
    return _convert(
        row, GroupOrder, pay_deadline=deadline and deadline - GRACE, seats=read_seats(row["seats"])
    )


def _convert(row: Any, shape: type[Shape], **more: object) -> Shape:
    wanted = {name: row[name] for name in shape.__struct_fields__ if name not in more}
    ids = {name: str(value) for name, value in wanted.items() if name.endswith("_id") and value is not None}
    return msgspec.convert({**wanted, **ids, **more}, shape)
