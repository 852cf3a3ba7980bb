"""The gate: all or nothing, never too much, and nothing twice for one reservation."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from app.bootstrap import Services
from app.stock.gate import Gate
from app.stock.reconcile import Drift, measure_drift, reconcile
from app.stock.scripts import FLIGHT_TTL_MS, GateReply, PoolFact, Reservation, Verdict, Want
from app.stock.sweep import sweep_flight
from tests.rows import put_sku


@pytest.fixture
async def gate(services: Services) -> AsyncIterator[Gate]:
    gate = Gate(services.valkey, services.pool)
    yield gate
    await gate.stop()


def reservation(
    *wants: Want, key: bytes = b"k" * 16, buyer_id: str = "42", activity_id: str = "0"
) -> Reservation:
    return Reservation(key, 9001, "7", buyer_id, activity_id, wants)


async def pool_state(services: Services, pool_id: int) -> dict[str, int]:
    raw = await services.redis.hgetall(f"gate:{{7}}:pool:{pool_id}")
    return {name.decode(): int(number) for name, number in raw.items()}


async def test_a_pool_that_the_gate_does_not_hold_is_loaded_from_the_ledger(
    gate: Gate, services: Services
) -> None:
    pool_id = await put_sku(services.pool, on_hand=3)
    assert await gate.reserve(reservation(Want(pool_id, "1001", 2))) == GateReply(Verdict.RESERVED)
    assert await pool_state(services, pool_id) == {"free": 3, "version": 1, "flight": 2}


async def test_more_than_is_free_is_sold_out_and_reserves_nothing_of_the_order(
    gate: Gate, services: Services
) -> None:
    plenty = await put_sku(services.pool, "1001", on_hand=9)
    scarce = await put_sku(services.pool, "1002", on_hand=1)
    reply = await gate.reserve(reservation(Want(plenty, "1001", 1), Want(scarce, "1002", 2)))
    assert reply == GateReply(Verdict.GONE, [Want(scarce, "1002", 2)])
    assert await pool_state(services, plenty) == {"free": 9, "version": 1, "flight": 0}


async def test_the_same_key_twice_reserves_once(gate: Gate, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=3)
    assert (await gate.reserve(reservation(Want(pool_id, "1001", 2)))).verdict is Verdict.RESERVED
    assert (await gate.reserve(reservation(Want(pool_id, "1001", 2)))).verdict is Verdict.REPEAT
    assert (await pool_state(services, pool_id))["flight"] == 2


async def test_a_hundred_at_once_get_exactly_what_is_there(gate: Gate, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=7)
    replies = await asyncio.gather(
        *[gate.reserve(reservation(Want(pool_id, "1001", 1), key=b"%016d" % n)) for n in range(100)]
    )
    verdicts = [reply.verdict for reply in replies]
    assert (verdicts.count(Verdict.RESERVED), verdicts.count(Verdict.SOLD_OUT)) == (7, 93)


async def test_a_placed_order_leaves_flight_as_the_ledgers_new_number_comes_in(
    gate: Gate, services: Services
) -> None:
    pool_id = await put_sku(services.pool, on_hand=3)
    await gate.reserve(reservation(Want(pool_id, "1001", 2)))
    await gate.settle({"7": [(b"k" * 16, True)]}, [PoolFact("7", pool_id, free=1, version=2)])
    assert await pool_state(services, pool_id) == {"free": 1, "version": 2, "flight": 0}


async def test_an_older_version_and_a_second_settle_change_nothing(gate: Gate, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=3)
    await gate.reserve(reservation(Want(pool_id, "1001", 2)))
    for fact in (PoolFact("7", pool_id, 1, 5), PoolFact("7", pool_id, 3, 4)):
        await gate.settle({"7": [(b"k" * 16, True)]}, [fact])
    assert await pool_state(services, pool_id) == {"free": 1, "version": 5, "flight": 0}


async def test_a_buyers_limit_counts_what_the_ledger_knows_and_what_is_in_flight(
    gate: Gate, services: Services
) -> None:
    pool_id = await put_sku(services.pool, on_hand=9)
    await services.pool.execute("INSERT INTO purchase_limit VALUES ('sale', '1001', '42', 1)")
    want = Want(pool_id, "1001", 1, buyer_max=2)
    first = await gate.reserve(reservation(want, activity_id="sale"))
    second = await gate.reserve(reservation(want, key=b"other-key-of-42.", activity_id="sale"))
    assert (first.verdict, second.verdict) == (Verdict.RESERVED, Verdict.LIMIT)


async def test_a_refused_reservation_gives_its_limit_back(gate: Gate, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=9)
    want = Want(pool_id, "1001", 1, buyer_max=1)
    await gate.reserve(reservation(want, activity_id="sale"))
    await gate.settle({"7": [(b"k" * 16, False)]})
    again = await gate.reserve(reservation(want, key=b"other-key-of-42.", activity_id="sale"))
    assert again.verdict is Verdict.RESERVED


async def test_a_flushed_gate_is_loaded_again(gate: Gate, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=1)
    await gate.reserve(reservation(Want(pool_id, "1001", 1)))
    await services.redis.flushall()
    await services.redis.script_flush()
    again = await gate.reserve(reservation(Want(pool_id, "1001", 1), key=b"another-key-here"))
    assert again.verdict is Verdict.RESERVED


async def test_the_sweep_takes_only_the_overdue_out_of_flight(gate: Gate, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=3)
    await gate.reserve(reservation(Want(pool_id, "1001", 2)))
    assert await sweep_flight(services.valkey, gate, services.pool) == 0
    entry = await services.redis.hget("gate:{7}:flight", (b"k" * 16).hex())
    # Its deadline, moved back: what it looks like FLIGHT_TTL_MS after its process died.
    fields = msgspec.msgpack.decode(entry)
    fields[1] -= FLIGHT_TTL_MS + 1
    await services.redis.hset("gate:{7}:flight", (b"k" * 16).hex(), msgspec.msgpack.encode(fields))
    assert await sweep_flight(services.valkey, gate, services.pool) == 1
    assert await pool_state(services, pool_id) == {"free": 3, "version": 1, "flight": 0}


async def test_the_reconciler_measures_and_mends_every_kind_of_drift(gate: Gate, services: Services) -> None:
    wrong_free = await put_sku(services.pool, "1001", on_hand=5)
    ahead = await put_sku(services.pool, "1002", on_hand=5)
    behind = await put_sku(services.pool, "1003", on_hand=5)
    miscounted = await put_sku(services.pool, "1004", on_hand=5)
    await gate.load([("7", pool_id) for pool_id in (wrong_free, ahead, behind, miscounted)])
    await services.redis.hset(f"gate:{{7}}:pool:{wrong_free}", "free", 50)
    await services.redis.hset(f"gate:{{7}}:pool:{ahead}", mapping={"free": 9, "version": 40})
    await services.redis.hset(f"gate:{{7}}:pool:{behind}", mapping={"free": 9, "version": 0})
    await services.redis.hset(f"gate:{{7}}:pool:{miscounted}", "flight", 3)
    drifts = await reconcile(services.valkey, gate, services.pool)
    assert drifts == [
        Drift("7", f"pool {wrong_free} free", 50, 5),
        Drift("7", f"pool {ahead} free", 9, 5),
        Drift("7", f"pool {behind} free", 9, 5),
        Drift("7", f"pool {miscounted} in flight", 3, 0),
    ]
    assert await measure_drift(services.valkey, services.pool) == []


async def test_an_older_version_with_the_same_number_is_no_drift(gate: Gate, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=5)
    await gate.load([("7", pool_id)])
    await services.pool.execute("UPDATE stock_pool SET version = version + 1")
    assert await measure_drift(services.valkey, services.pool) == []


async def test_a_version_from_the_future_is_drift_although_the_number_fits(
    gate: Gate, services: Services
) -> None:
    pool_id = await put_sku(services.pool, on_hand=5)
    await gate.load([("7", pool_id)])
    await services.redis.hset(f"gate:{{7}}:pool:{pool_id}", "version", 99)
    assert len(await reconcile(services.valkey, gate, services.pool)) == 1
    assert (await pool_state(services, pool_id))["version"] == 1


async def test_sold_out_with_units_in_flight_is_not_gone(gate: Gate, services: Services) -> None:
    pool_id = await put_sku(services.pool, on_hand=1)
    await gate.reserve(reservation(Want(pool_id, "1001", 1)))
    later = await gate.reserve(reservation(Want(pool_id, "1001", 1), key=b"another-key-here"))
    assert later.verdict is Verdict.SOLD_OUT  # the first may yet be refused, and its retry must be asked
    await gate.settle({"7": [(b"k" * 16, True)]}, [PoolFact("7", pool_id, free=0, version=2)])
    later = await gate.reserve(reservation(Want(pool_id, "1001", 1), key=b"another-key-here"))
    assert later.verdict is Verdict.GONE
