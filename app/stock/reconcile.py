"""How far gate and ledger differ, and making them equal again.

At rest the drift is zero. Under traffic the gate may lag behind the ledger by the batches that are being
settled; taking over a newer version is always safe, and everything else is written only if the pool has not
moved since it was read.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from app.lib import metrics
from app.lib.postgres import Pool
from app.lib.valkey import KEYS_AT_A_TIME, Valkey, hash_fields
from app.stock.gate import Gate, read_facts, sql
from app.stock.keys import (
    FLIGHT_PATTERN,
    LIMITS_PATTERN,
    POOL_PATTERN,
    flight_key,
    last_part,
    limit_field,
    shop_of,
)
from app.stock.scripts import CORRECT, RECOUNT, PoolFact, correct_call, recount_call
from app.stock.sweep import read_flight


class Drift(NamedTuple):
    """One number that differs. `what`: "pool 12 free", "pool 12 in flight", "limit of …"."""

    shop_id: str
    what: str
    gate: int
    ledger: int


class GatePool(NamedTuple):
    shop_id: str
    pool_id: int
    free: int
    version: int
    in_flight: int


async def measure_drift(valkey: Valkey, pool: Pool) -> list[Drift]:
    """Every difference between gate and ledger. Raises GateDown when Valkey is not there."""
    gate_pools = await _read_pools(valkey)
    ledger = await _read_ledger(pool, gate_pools)
    flights = await _sum_flights(valkey)
    drifts = []
    for each in gate_pools:
        fact = ledger[each.pool_id]
        # An older version with the same number is no drift (a payment confirms what was reserved); one from
        # the future is: the gate would refuse every later word of the ledger.
        if each.free != fact.free or each.version > fact.version:
            drifts.append(Drift(each.shop_id, f"pool {each.pool_id} free", each.free, fact.free))
        counted = flights[each.shop_id].get(each.pool_id, 0)
        if each.in_flight != counted:
            drifts.append(Drift(each.shop_id, f"pool {each.pool_id} in flight", each.in_flight, counted))
    drifts += [drift for _, found in await _measure_limits(valkey, pool) for drift in found]
    metrics.GATE_DRIFT.set(sum(abs(drift.gate - drift.ledger) for drift in drifts))
    return drifts


async def reconcile(valkey: Valkey, gate: Gate, pool: Pool) -> list[Drift]:
    """Make the gate equal to the ledger; returns what differed. Raises GateDown."""
    drifts = await measure_drift(valkey, pool)
    if not drifts:
        return []
    gate_pools = await _read_pools(valkey)
    ledger = await _read_ledger(pool, gate_pools)
    await gate.settle_pools([ledger[each.pool_id] for each in gate_pools])
    wrong = [
        correct_call(ledger[each.pool_id], read_version=each.version)
        for each in gate_pools
        if each.version > ledger[each.pool_id].version
        or (each.version == ledger[each.pool_id].version and each.free != ledger[each.pool_id].free)
    ]
    if wrong:
        await valkey.run_scripts(CORRECT, wrong)
    by_shop: dict[str, list[int]] = defaultdict(list)
    for each in gate_pools:
        by_shop[each.shop_id].append(each.pool_id)
    await valkey.run_scripts(RECOUNT, [recount_call(shop_id, ids) for shop_id, ids in by_shop.items()])
    for key, found in await _measure_limits(valkey, pool):
        if found:  # loaded again from the ledger by the next order
            await valkey.command("DEL", key)
    return drifts


async def _read_pools(valkey: Valkey) -> list[GatePool]:
    pools = []
    keys = await valkey.scan(POOL_PATTERN)
    for start in range(0, len(keys), KEYS_AT_A_TIME):
        chunk = keys[start : start + KEYS_AT_A_TIME]
        replies = await valkey.commands([("HMGET", key, "free", "version", "flight") for key in chunk])
        for key, reply in zip(chunk, replies, strict=True):
            free, version, in_flight = (int(number or 0) for number in reply)
            pools.append(GatePool(shop_of(key), int(last_part(key)), free, version, in_flight))
    return pools


async def _read_ledger(pool: Pool, gate_pools: list[GatePool]) -> dict[int, PoolFact]:
    facts = await read_facts(pool, [(each.shop_id, each.pool_id) for each in gate_pools])
    return {fact.pool_id: fact for fact in facts}


async def _sum_flights(valkey: Valkey) -> dict[str, dict[int, int]]:
    """Per shop and pool the units of all reservations in flight."""
    sums: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for key in await valkey.scan(FLIGHT_PATTERN):
        for entry in await read_flight(valkey, key):
            for pool_id, quantity in entry.pools:
                sums[shop_of(key)][pool_id] += quantity
    return sums


async def _measure_limits(valkey: Valkey, pool: Pool) -> list[tuple[str, list[Drift]]]:
    """Per limits key how its counts differ from the ledger's plus what is in flight."""
    measured = []
    for key in await valkey.scan(LIMITS_PATTERN):
        shop_id, activity_id = shop_of(key), last_part(key)
        raw = await valkey.command("HGETALL", key)
        counts = {field.decode(): int(count) for field, count in hash_fields(raw) if field}
        expected: dict[str, int] = defaultdict(int)
        for row in await pool.fetch(sql.read_limits, shop_id, activity_id):
            expected[limit_field(row["sku_id"], row["buyer_id"])] += row["quantity"]
        for entry in await read_flight(valkey, flight_key(shop_id)):
            for field, quantity in entry.limited:
                expected[field] += quantity
        measured.append(
            (
                key,
                [
                    Drift(
                        shop_id,
                        f"limit {activity_id} {field!r}",
                        counts.get(field, 0),
                        expected.get(field, 0),
                    )
                    for field in sorted(counts.keys() | expected.keys())
                    if counts.get(field, 0) != expected.get(field, 0)
                ],
            )
        )
    return measured
