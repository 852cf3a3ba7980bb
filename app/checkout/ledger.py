"""A batch in the ledger: all of it in one statement, or each checkout decided over locked numbers.

Nearly always everything fits, and one statement that is its own transaction writes keys, orders, lines, stock
and events: no row stays locked while this process does something else. Where it does not fit (a key that came
before, an address that nothing can be sent to, too little stock, an ended sale), for what is claimed beside
stock (claims.py), and for orders that come to nothing, a transaction takes the keys, locks, lets `admit`
decide each checkout, and writes those that are placed. Locks follow the one global order (keys, claims,
stock; each by id): batches wait for each other, but never in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import msgspec

from app.checkout.admit import Numbers, PoolNumbers, admit
from app.checkout.claims import CLAIMS, wants_any
from app.checkout.deliver_to import read_addresses
from app.checkout.schemas import Checkout
from app.lib.commit import Committed, Outcome
from app.lib.errors import IdempotencyKeyReused
from app.lib.idempotency import DOES_NOT_FIT, Answer, earlier_answer
from app.lib.idempotency import sql as idempotency_sql
from app.lib.postgres import ACQUIRE_TIMEOUT_S, Connection, Pool
from app.lib.sql import load
from app.payments.accept import accept_free_orders
from app.payments.aftermath import Aftermath
from app.stock.scripts import PoolFact

sql = load("checkout")

CREATED = 201
_encode = msgspec.json.Encoder().encode


async def place_batch(pool: Pool, checkouts: Sequence[Checkout]) -> Committed[PoolFact]:
    """Place a batch. What this returns has been committed."""
    simple: list[Checkout] = []
    others: list[Checkout] = []
    for each in checkouts:
        (others if wants_any(each) or not each.root.payable_minor else simple).append(each)
    outcomes: dict[bytes, Outcome] = {}
    facts: list[PoolFact] = []
    async with pool.acquire(timeout=ACQUIRE_TIMEOUT_S) as connection:
        if simple:
            try:
                facts = await _write(connection, simple, _sum_wants(simple), simple)
                outcomes = {each.once.digest: Answer(CREATED, each.answer_body) for each in simple}
            except asyncpg.IntegrityConstraintViolationError as error:
                if error.constraint_name not in DOES_NOT_FIT:
                    raise
                others = list(checkouts)
        if others:
            async with connection.transaction():
                facts += await _place_each(connection, others, outcomes)
    return Committed([outcomes[each.once.digest] for each in checkouts], facts)


async def _place_each(
    connection: Connection, checkouts: Sequence[Checkout], outcomes: dict[bytes, Outcome]
) -> list[PoolFact]:
    """Decide each checkout and write those that are placed, inside the caller's transaction."""
    outcomes |= await _take_keys(connection, checkouts)
    new = [checkout for checkout in checkouts if checkout.once.digest not in outcomes]
    if not new:
        return []
    numbers = await _lock(connection, new)
    refused = await read_addresses(connection, new)
    sent = [each for each in new if each.once.digest not in refused]
    for each, refusal in zip(sent, admit(sent, numbers), strict=True):
        if refusal is not None:
            refused[each.once.digest] = refusal
    outcomes |= refused
    if refused:
        await connection.execute(sql.release_keys, list(refused))
    placed = [each for each in sent if each.once.digest not in refused]
    for each in placed:
        outcomes[each.once.digest] = Answer(CREATED, each.answer_body)
    facts = _facts(new, numbers)
    if placed:
        changed = await _write(connection, placed, _sum_wants(placed), [])
        facts = [*changed, *(fact for fact in facts if not numbers.pools[fact.pool_id].taken)]
        for claim, claimed in numbers.claims:
            takers = [each for each in placed if claim.wanted_by(each)]
            if takers:
                await claim.write(connection, takers, claimed)
        facts += await _accept_free(connection, placed)
    return facts


async def _accept_free(connection: Connection, placed: Sequence[Checkout]) -> list[PoolFact]:
    """Orders that come to nothing are paid as they are placed; the pools from which they took at once."""
    free = [each for each in placed if not each.root.payable_minor]
    aftermath = Aftermath()
    if free:
        order_ids = [each.root.order_id for each in free]
        await accept_free_orders(connection, order_ids, free[0].created_at, aftermath)
    return aftermath.pools


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


def _earlier(row: asyncpg.Record, checkout: Checkout) -> Outcome:
    """What a key did before: for another call its answer again; for this very one (its commit's reply was
    lost, and it was sent again) the answer for the first time."""
    try:
        answer = earlier_answer(row, checkout.once)
    except IdempotencyKeyReused as reused:
        return reused
    return Answer(answer.status, answer.body, replayed=answer.body != checkout.answer_body)


async def _lock(connection: Connection, checkouts: Sequence[Checkout]) -> Numbers:
    claims = []
    for claim in CLAIMS:
        if any([claim.wanted_by(each) for each in checkouts]):
            claims.append((claim, await claim.lock(connection, checkouts)))
    pool_ids = {want.pool_id for each in checkouts for part in each.reservations for want in part.wants}
    pools = {}
    for pool_id, on_hand, reserved, version, closed in await connection.fetch(sql.lock_pools, list(pool_ids)):
        pools[pool_id] = PoolNumbers(on_hand, reserved, version, closed)
    return Numbers(pools, claims)


class PoolWants(msgspec.Struct):
    """Of one pool: units that must be free, and those of them that are reserved at once."""

    shop_id: str
    wanted: int = 0
    taken: int = 0


def _sum_wants(checkouts: Sequence[Checkout]) -> dict[int, PoolWants]:
    wants: dict[int, PoolWants] = {}
    for each in checkouts:
        for part in each.reservations:
            for want in part.wants:
                pool = wants.get(want.pool_id)
                if pool is None:
                    pool = wants[want.pool_id] = PoolWants(part.shop_id)
                pool.wanted += want.quantity
                if want.reserved_at_once:
                    pool.taken += want.quantity
    return wants


async def _write(
    connection: Connection,
    placed: Sequence[Checkout],
    wants: dict[int, PoolWants],
    new_keys: Sequence[Checkout],
) -> list[PoolFact]:
    """Raises UniqueViolationError or CheckViolationError with a constraint of DOES_NOT_FIT."""
    rows = await connection.fetch(
        sql.write_orders,
        _encode([order for each in placed for order in (each.root, *each.children)]).decode(),
        _encode([line for each in placed for line in each.lines]).decode(),
        list(wants),
        [pool.wanted for pool in wants.values()],
        [pool.taken for pool in wants.values()],
        [each.once.digest for each in new_keys],
        [each.once.caller_id for each in new_keys],
        [each.once.request_hash for each in new_keys],
        [each.answer_body for each in new_keys],
    )
    return [PoolFact(wants[pool_id].shop_id, pool_id, free, version) for pool_id, free, version in rows]


def _facts(checkouts: Sequence[Checkout], numbers: Numbers) -> list[PoolFact]:
    """What the locked pools hold before the write; those that this batch takes from are told by the write."""
    shop_of = {
        want.pool_id: part.shop_id for each in checkouts for part in each.reservations for want in part.wants
    }
    return [
        PoolFact(shop_of[pool_id], pool_id, 0 if pool.closed else pool.free, pool.version)
        for pool_id, pool in numbers.pools.items()
    ]
