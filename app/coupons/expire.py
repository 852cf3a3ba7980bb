"""Coupons whose time is over are expired: a sweep, in set-based batches beside living traffic.

An order that holds one keeps it; when it gives the coupon back, that expires then. Pricing and placing look
at the time themselves, so nobody waits for this.
"""

from __future__ import annotations

from datetime import datetime

from app.bootstrap import Services
from app.lib.sql import load

sql = load("coupons")


async def expire_coupons(services: Services, now: datetime, limit: int) -> int:
    rows = await services.pool.fetch(sql.expire_coupons, now, limit)
    await services.coupons.forget({row["buyer_id"] for row in rows})
    return len(rows)
