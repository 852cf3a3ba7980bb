"""A buyer's coupons as the buyer sees them, from the ledger, the newest first."""

from __future__ import annotations

from datetime import datetime

from app.coupons.schemas import Coupon
from app.lib.page import Page
from app.lib.parameters import before
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("coupons")


async def list_coupons(pool: Pool, buyer_id: str, now: datetime, cursor: str, limit: int) -> Page[Coupon]:
    rows = await pool.fetch(sql.list_coupons, buyer_id, now, before(cursor), limit + 1)
    return Page.cut([Coupon(**row) for row in rows], limit, lambda coupon: coupon.coupon_id)
