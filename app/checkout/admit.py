"""Who of a batch gets the order: the decision over the numbers that the transaction has locked.

Pure. `admit` walks the checkouts one by one, decides each whole, and takes what a placed one needs from the
numbers, so that the next one sees what is left. One refusal never touches its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from app.checkout.claims import Claim
from app.checkout.errors import ActivityEnded, OutOfStock
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


class Numbers(msgspec.Struct, gc=False):
    """All that a batch may change, as locked; `admit` counts down in it."""

    pools: dict[int, PoolNumbers]
    # each kind that the batch asks for, with what it has locked
    claims: Sequence[tuple[Claim, Any]]


def admit(checkouts: Sequence[Checkout], numbers: Numbers) -> list[AppError | None]:
    """For each checkout None when it is placed, else why not."""
    return [_admit_one(checkout, numbers) for checkout in checkouts]


def _admit_one(checkout: Checkout, numbers: Numbers) -> AppError | None:
    refusal = _missing_stock(checkout, numbers.pools)
    for claim, claimed in numbers.claims:
        refusal = refusal or claim.refuse(checkout, claimed)
    if refusal is None:
        _take_stock(checkout, numbers.pools)
        for claim, claimed in numbers.claims:
            claim.take(checkout, claimed)
    return refusal


def _wants(checkout: Checkout) -> list[Want]:
    return [want for reservation in checkout.reservations for want in reservation.wants]


def _missing_stock(checkout: Checkout, pools: dict[int, PoolNumbers]) -> AppError | None:
    short = []
    for want in _wants(checkout):
        pool = pools.get(want.pool_id)
        if pool is not None and pool.closed:
            return ActivityEnded(activity_id=checkout.activity_id)
        if pool is None or pool.free < want.quantity:
            short.append(want.sku_id)
    return OutOfStock(sku_ids=short) if short else None


def _take_stock(checkout: Checkout, pools: dict[int, PoolNumbers]) -> None:
    for want in _wants(checkout):
        if want.reserved_at_once:
            pools[want.pool_id].taken += want.quantity
