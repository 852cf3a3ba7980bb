"""A buyer's coupons as the buyer sees them, from the ledger, the newest first."""

from __future__ import annotations

from datetime import datetime

from app.coupons.schemas import Coupon
from app.lib.errors import InvalidRequest
from app.lib.page import Page
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("coupons")

ID_MAX = 2**63 - 1


async def list_coupons(pool: Pool, buyer_id: str, now: datetime, cursor: str, limit: int) -> Page[Coupon]:
    """Raises InvalidRequest when the cursor is not one of ours."""
    if cursor and not (cursor.isascii() and cursor.isdigit() and int(cursor) <= ID_MAX):
        raise InvalidRequest("the cursor is not one that a list has given")
    rows = await pool.fetch(sql.list_coupons, buyer_id, now, int(cursor or ID_MAX), limit + 1)
    return Page.cut([Coupon(**row) for row in rows], limit, lambda coupon: coupon.coupon_id)
