"""Groups as everyone sees them, and a buyer's own group orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from app.groups.errors import GroupNotFound, GroupOrderNotFound
from app.groups.ledger import GRACE
from app.groups.schemas import Group, GroupOrder
from app.groups.state import GroupOrderStatus
from app.lib.page import Page
from app.lib.parameters import before
from app.lib.postgres import Pool
from app.lib.sql import load
from app.seats.schemas import read_seats

sql = load("groups_seen")
Shape = TypeVar("Shape", bound=msgspec.Struct)

# More faces than a phone shows; a group can have a thousand, and each change is sent to all who watch.
SHOWN_MEMBERS_MAX = 20
# A shorter id would be told by its first and last character.
MASKED_FROM = 4
# What a group's row and its campaign's items take to read together: about 0.1 ms each.
READ_MAX = 200


async def read_group(
    pool: Pool, group_id: int | None, now: datetime, base_url: str, *, share_code: str | None = None
) -> Group:
    """By id or by share code. Raises GroupNotFound."""
    group_ids = [] if group_id is None else [group_id]
    row = await pool.fetchrow(sql.show_groups, group_ids, share_code, SHOWN_MEMBERS_MAX)
    if row is None:
        raise GroupNotFound()
    return _group(row, now, base_url)


async def read_groups(pool: Pool, group_ids: Sequence[int], now: datetime, base_url: str) -> dict[int, Group]:
    """Those that there are, `READ_MAX` at a time."""
    found = {}
    for start in range(0, len(group_ids), READ_MAX):
        some = group_ids[start : start + READ_MAX]
        for row in await pool.fetch(sql.show_groups, some, None, SHOWN_MEMBERS_MAX):
            found[row["group_id"]] = _group(row, now, base_url)
    return found


async def list_group_orders(
    pool: Pool, buyer_id: str, status: GroupOrderStatus | None, cursor: str, limit: int, base_url: str
) -> Page[GroupOrder]:
    rows = await pool.fetch(sql.group_orders_of_buyer, buyer_id, before(cursor), None, limit + 1, status)
    return Page.cut([_order(row, base_url) for row in rows], limit, lambda order: order.order_id)


async def read_group_order(pool: Pool, buyer_id: str, order_id: int, base_url: str) -> GroupOrder:
    """Raises GroupOrderNotFound, also for somebody else's."""
    row = await pool.fetchrow(sql.group_orders_of_buyer, buyer_id, before(""), order_id, 1, None)
    if row is None:
        raise GroupOrderNotFound()
    return _order(row, base_url)


def share_url(base_url: str, share_code: str) -> str:
    """The page that members share (app/share_page)."""
    return f"{base_url}/g/{share_code}"


def masked(buyer_id: str) -> str:
    """Enough to know a friend by, too little to find a stranger: `guest-17` becomes `g***7`."""
    return f"{buyer_id[0]}***{buyer_id[-1]}" if len(buyer_id) >= MASKED_FROM else "***"


def _group(row: Any, now: datetime, base_url: str) -> Group:
    members = [{**each, "name": masked(each["name"])} for each in row["shown_members"]]
    url = share_url(base_url, row["share_code"])
    return _convert(row, Group, shown_members=members, share_url=url, now=now)


def _order(row: Any, base_url: str) -> GroupOrder:
    deadline, code = row["pay_deadline"], row["share_code"]
    return _convert(
        row,
        GroupOrder,
        pay_deadline=deadline and deadline - GRACE,
        share_url=code and share_url(base_url, code),
        seats=read_seats(row["seats"]),
    )


def _convert(row: Any, shape: type[Shape], **more: object) -> Shape:
    wanted = {name: row[name] for name in shape.__struct_fields__ if name not in more}
    ids = {name: str(value) for name, value in wanted.items() if name.endswith("_id") and value is not None}
    return msgspec.convert({**wanted, **ids, **more}, shape)
