"""Who of a batch gets the order: the decision over the numbers that the transaction has locked.

Pure. `admit` walks the checkouts one by one, decides each whole, and takes what a placed one needs from the
numbers, so that the next one sees what is left. One refusal never touches its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.checkout.errors import ActivityEnded, CouponUnavailable, OutOfStock, PurchaseLimitExceeded
from app.checkout.schemas import Checkout
from app.lib.errors import AppError
from app.stock.scripts import Want


class PoolNumbers(msgspec.Struct, gc=False):
    """A locked row of `stock_pool`; `taken` is what this batch reserves of it."""

    on_hand: int
    reserved: int
    version: int
    closed: bool
    taken: int = 0

    @property
    def free(self) -> int:
        return self.on_hand - self.reserved - self.taken


class CouponState(msgspec.Struct, gc=False):
    """A locked row of `coupon`."""

    buyer_id: str
    status: str
    valid_from: datetime
    valid_to: datetime


# (activity, SKU, buyer)
LimitKey = tuple[str, str, str]


class Numbers(msgspec.Struct, gc=False):
    """All that a batch may change, as locked; `admit` counts down in it."""

    pools: dict[int, PoolNumbers]
    coupons: dict[int, CouponState]
    limits: dict[LimitKey, int]


def admit(checkouts: Sequence[Checkout], numbers: Numbers) -> list[AppError | None]:
    """For each checkout None when it is placed, else why not."""
    return [_admit_one(checkout, numbers) for checkout in checkouts]


def _admit_one(checkout: Checkout, numbers: Numbers) -> AppError | None:
    refusal = (
        _missing_stock(checkout, numbers)
        or _exceeded_limit(checkout, numbers)
        or _lost_coupon(checkout, numbers)
    )
    if refusal is None:
        _take(checkout, numbers)
    return refusal


def _wants(checkout: Checkout) -> list[Want]:
    return [want for reservation in checkout.reservations for want in reservation.wants]


def _missing_stock(checkout: Checkout, numbers: Numbers) -> AppError | None:
    short = []
    for want in _wants(checkout):
        pool = numbers.pools.get(want.pool_id)
        if pool is not None and pool.closed:
            return ActivityEnded(activity_id=checkout.activity_id)
        if pool is None or pool.free < want.quantity:
            short.append(want.sku_id)
    return OutOfStock(sku_ids=short) if short else None


def _exceeded_limit(checkout: Checkout, numbers: Numbers) -> AppError | None:
    for want in _wants(checkout):
        if want.buyer_max:
            taken = numbers.limits[checkout.activity_id, want.sku_id, checkout.buyer_id]
            if taken + want.quantity > want.buyer_max:
                return PurchaseLimitExceeded(sku_ids=[want.sku_id], per_buyer_max=want.buyer_max)
    return None


def _lost_coupon(checkout: Checkout, numbers: Numbers) -> AppError | None:
    lost = []
    for coupon_id in checkout.coupon_ids:
        coupon = numbers.coupons.get(coupon_id)
        usable = (
            coupon is not None
            and coupon.buyer_id == checkout.buyer_id
            and coupon.status == "available"
            and coupon.valid_from <= checkout.created_at < coupon.valid_to
        )
        if not usable:
            lost.append(str(coupon_id))
    return CouponUnavailable(coupon_ids=lost) if lost else None


def _take(checkout: Checkout, numbers: Numbers) -> None:
    for want in _wants(checkout):
        if want.reserved_at_once:
            numbers.pools[want.pool_id].taken += want.quantity
        if want.buyer_max:
            numbers.limits[checkout.activity_id, want.sku_id, checkout.buyer_id] += want.quantity
    for coupon_id in checkout.coupon_ids:
        numbers.coupons[coupon_id].status = "locked"
