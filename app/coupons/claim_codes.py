"""The codes that an order takes along: redeemed in its transaction (app/checkout/claims.py).

All or nothing with the order: a code becomes a coupon that is locked to the order at once, or stays as it
was. Whoever comes too late is told the price without it.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.checkout.errors import CodeSpent
from app.checkout.schemas import Checkout
from app.coupons import code_ledger
from app.coupons.codes import Codes
from app.lib.errors import AppError
from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("coupons")


def wanted_by(checkout: Checkout) -> bool:
    return bool(checkout.codes)


async def lock(connection: Connection, checkouts: Sequence[Checkout]) -> Codes:
    shown = [(wanted.code, each.buyer_id) for each in checkouts for wanted in each.codes]
    return await code_ledger.lock(connection, shown)


def refuse(checkout: Checkout, codes: Codes) -> CodeSpent | None:
    """Also a coupon that begins later than the order is no use to it."""
    trial = codes.trial() if checkout.codes else codes
    try:
        coupons = [trial.redeem(each, checkout.buyer_id, checkout.created_at) for each in checkout.codes]
    except AppError:
        return CodeSpent()
    return CodeSpent() if any(each.valid_from > checkout.created_at for each in coupons) else None


def take(checkout: Checkout, codes: Codes) -> None:
    for wanted in checkout.codes:
        codes.redeem(wanted, checkout.buyer_id, checkout.created_at)


async def write(connection: Connection, placed: Sequence[Checkout], codes: Codes) -> None:
    await code_ledger.write(connection, codes)
    taken = [(wanted.coupon_id, each.root.order_id) for each in placed for wanted in each.codes]
    await connection.execute(sql.lock_coupons_to_orders, *map(list, zip(*taken, strict=True)))
    placed[0].given = codes.numbers  # one of them tells for all
