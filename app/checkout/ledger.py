"""The one transaction of a batch: take the keys, lock, decide, write.

A fixed handful of set-based statements, whatever the batch's size. Locks follow the one global order
(coupons, limits, stock; each by id), so that batches wait for each other but never in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.checkout.admit import CouponState, LimitKey, Numbers, PoolNumbers, admit
from app.checkout.schemas import Checkout
from app.lib.errors import AppError, IdempotencyKeyReused
from app.lib.idempotency import Answer
from app.lib.idempotency import sql as idempotency_sql
from app.lib.postgres import Connection
from app.lib.sql import load
from app.stock.scripts import PoolFact

sql = load("checkout")

CREATED = 201
_encode = msgspec.json.Encoder().encode
Outcome = Answer | AppError


class BatchResult(msgspec.Struct):
    """One outcome per checkout, in order, and what the gate must learn of the pools."""

    outcomes: list[Outcome]
    facts: list[PoolFact]


async def place_batch(connection: Connection, checkouts: Sequence[Checkout]) -> BatchResult:
    """Place a batch inside the caller's transaction; the outcomes are true once it has committed."""
    outcomes = await _take_keys(connection, checkouts)
    new = [checkout for checkout in checkouts if checkout.once.digest not in outcomes]
    if not new:
        return BatchResult([outcomes[checkout.once.digest] for checkout in checkouts], [])
    numbers = await _lock(connection, new)
    refusals = admit(new, numbers)
    placed = []
    for checkout, refusal in zip(new, refusals, strict=True):
        outcomes[checkout.once.digest] = refusal or Answer(CREATED, checkout.answer_body)
        if refusal is None:
            placed.append(checkout)
    if len(placed) < len(new):
        refused = [each.once.digest for each, why in zip(new, refusals, strict=True) if why is not None]
        await connection.execute(sql.release_keys, refused)
    if placed:
        await _write(connection, placed, numbers)
    return BatchResult([outcomes[each.once.digest] for each in checkouts], _facts(new, numbers))


async def _take_keys(connection: Connection, checkouts: Sequence[Checkout]) -> dict[bytes, Outcome]:
    """Outcomes of those whose key has done its work before; the rest now hold their key."""
    taken = await connection.fetch(
        sql.take_keys,
        [each.once.digest for each in checkouts],
        [each.once.call for each in checkouts],
        [each.once.caller_id for each in checkouts],
        [each.once.request_hash for each in checkouts],
        [CREATED] * len(checkouts),
        [each.answer_body for each in checkouts],
    )
    if len(taken) == len(checkouts):
        return {}
    ours = {row["digest"] for row in taken}
    losers = {each.once.digest: each for each in checkouts if each.once.digest not in ours}
    rows = await connection.fetch(idempotency_sql.read_keys, list(losers))
    return {row["digest"]: _earlier(row, losers[row["digest"]]) for row in rows}


def _earlier(row: object, checkout: Checkout) -> Outcome:
    """What a key did before: for another call its answer again, for this very one (its commit's reply was
    lost, and it was sent again) the answer for the first time."""
    if row["request_hash"] != checkout.once.request_hash:  # type: ignore[index]
        return IdempotencyKeyReused("use a new key for a new order")
    body = row["response"]  # type: ignore[index]
    return Answer(row["status"], body, replayed=body != checkout.answer_body)  # type: ignore[index]


async def _lock(connection: Connection, checkouts: Sequence[Checkout]) -> Numbers:
    coupons: dict[int, CouponState] = {}
    if coupon_ids := [coupon_id for each in checkouts for coupon_id in each.coupon_ids]:
        for row in await connection.fetch(sql.lock_coupons, coupon_ids):
            coupons[row["coupon_id"]] = CouponState(
                row["buyer_id"], row["status"], row["valid_from"], row["valid_to"]
            )
    limits: dict[LimitKey, int] = {}
    if limit_keys := _limit_keys(checkouts):
        columns = [list(column) for column in zip(*limit_keys, strict=True)]
        await connection.execute(sql.open_limits, *columns)
        for row in await connection.fetch(sql.lock_limits, *columns):
            limits[row["activity_id"], row["sku_id"], row["buyer_id"]] = row["quantity"]
    pool_ids = {want.pool_id for each in checkouts for part in each.reservations for want in part.wants}
    pools = {}
    for pool_id, on_hand, reserved, version, closed in await connection.fetch(sql.lock_pools, list(pool_ids)):
        pools[pool_id] = PoolNumbers(on_hand, reserved, version, closed)
    return Numbers(pools, coupons, limits)


def _limit_keys(checkouts: Sequence[Checkout]) -> list[LimitKey]:
    return list(
        {
            (each.activity_id, want.sku_id, each.buyer_id)
            for each in checkouts
            for part in each.reservations
            for want in part.wants
            if want.buyer_max
        }
    )


async def _write(connection: Connection, placed: Sequence[Checkout], numbers: Numbers) -> None:
    taken = [(pool_id, pool.taken) for pool_id, pool in numbers.pools.items() if pool.taken]
    await connection.execute(
        sql.write_orders,
        _encode([order for each in placed for order in (each.root, *each.children)]).decode(),
        _encode([line for each in placed for line in each.lines]).decode(),
        [pool_id for pool_id, _ in taken],
        [quantity for _, quantity in taken],
    )
    if coupons := [(coupon_id, each.root.order_id) for each in placed for coupon_id in each.coupon_ids]:
        await connection.execute(sql.lock_coupons_to_orders, *map(list, zip(*coupons, strict=True)))
    if limits := _limit_keys(placed):
        columns = map(list, zip(*limits, strict=True))
        await connection.execute(sql.raise_limits, *columns, [numbers.limits[key] for key in limits])


def _facts(checkouts: Sequence[Checkout], numbers: Numbers) -> list[PoolFact]:
    """What the ledger says of every touched pool once this transaction has committed."""
    shop_of = {
        want.pool_id: part.shop_id for each in checkouts for part in each.reservations for want in part.wants
    }
    return [
        PoolFact(
            shop_of[pool_id],
            pool_id,
            0 if pool.closed else pool.free,
            pool.version + (1 if pool.taken else 0),
        )
        for pool_id, pool in numbers.pools.items()
    ]
