"""The coupons that an order takes: one coupon, one order (app/checkout/claims.py).

Locked with the order, used when it is paid, available again when it is canceled; after a full refund only
where its template says so. What comes back after its time has expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.checkout.errors import CouponUnavailable
from app.checkout.schemas import Checkout
from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("coupons")


class CouponState(msgspec.Struct, gc=False):
    """A locked row of `coupon`."""

    buyer_id: str
    status: str
    valid_from: datetime
    valid_to: datetime


Coupons = dict[int, CouponState]


def wanted_by(checkout: Checkout) -> bool:
    return bool(checkout.coupon_ids)


async def lock(connection: Connection, checkouts: Sequence[Checkout]) -> Coupons:
    coupon_ids = [coupon_id for each in checkouts for coupon_id in each.coupon_ids]
    rows = await connection.fetch(sql.lock_coupons, coupon_ids)
    return {
        row["coupon_id"]: CouponState(row["buyer_id"], row["status"], row["valid_from"], row["valid_to"])
        for row in rows
    }


def refuse(checkout: Checkout, coupons: Coupons) -> CouponUnavailable | None:
    lost = []
    for coupon_id in checkout.coupon_ids:
        coupon = coupons.get(coupon_id)
        usable = (
            coupon is not None
            and coupon.buyer_id == checkout.buyer_id
            and coupon.status == "available"
            and coupon.valid_from <= checkout.created_at < coupon.valid_to
        )
        if not usable:
            lost.append(str(coupon_id))
    return CouponUnavailable(coupon_ids=lost) if lost else None


def take(checkout: Checkout, coupons: Coupons) -> None:
    for coupon_id in checkout.coupon_ids:
        coupons[coupon_id].status = "locked"


async def write(connection: Connection, placed: Sequence[Checkout], _: Coupons) -> None:
    taken = [(coupon_id, each.root.order_id) for each in placed for coupon_id in each.coupon_ids]
    await connection.execute(sql.lock_coupons_to_orders, *map(list, zip(*taken, strict=True)))


async def use(connection: Connection, order_ids: Sequence[int]) -> list[str]:
    """These orders (roots) are paid: their coupons are spent. Leaves whose they were."""
    return sorted({row["buyer_id"] for row in await connection.fetch(sql.use_coupons, order_ids)})


async def give_back(connection: Connection, order_ids: Sequence[int], now: datetime) -> list[str]:
    """These orders (roots) are canceled: their coupons can be used again. Leaves whose they are."""
    rows = await connection.fetch(sql.return_coupons, order_ids, now)
    return sorted({row["buyer_id"] for row in rows})


async def give_back_refunded(connection: Connection, order_id: int, now: datetime) -> list[str]:
    """All of the order's money has gone back. Leaves whose coupons came back with it."""
    rows = await connection.fetch(sql.return_refunded_coupons, order_id, now)
    return sorted({row["buyer_id"] for row in rows})
