"""The outbox reaches Redis Streams: at least once, nothing skipped, in order for one aggregate."""

import asyncio
from datetime import timedelta

import httpx
import pytest
import redis.asyncio as redis

from app.bootstrap import Services
from app.events_out.relay import Relay, export_all, export_batch, prune
from app.lib.outbox import Event, append
from app.lib.postgres import transaction
from tests.waiting import wait_until


def event(aggregate_id: int, version: int = 1, topic: str = "order.placed") -> Event:
    return Event(topic, aggregate_id, version, {"n": version})


async def tell(services: Services, *events: Event) -> None:
    async with transaction(services.pool) as connection:
        await append(connection, events)


async def stream(services: Services, topic: str = "order.placed") -> list[tuple[int, int]]:
    entries = await services.redis.xrange(f"events:{topic}")
    return [(int(e[b"aggregate_id"]), int(e[b"aggregate_version"])) for _, e in entries]


async def test_events_arrive_in_their_topics_stream_once_and_whole(services: Services) -> None:
    await tell(services, event(1), event(2, topic="order.paid"))
    await tell(services, event(3))
    assert await export_all(services) == 3
    assert await export_all(services) == 0
    assert await stream(services) == [(1, 1), (3, 1)]
    ((_, entry),) = await services.redis.xrange("events:order.paid")
    row = await services.pool.fetchrow("SELECT * FROM outbox WHERE topic = 'order.paid'")
    assert entry == {
        b"event_id": str(row["event_id"]).encode(),
        b"aggregate_id": b"2",
        b"aggregate_version": b"1",
        b"created_at": row["created_at"].isoformat().encode(),
        b"payload": b'{"n": 1}',
    }


async def test_an_event_that_commits_late_under_a_smaller_id_is_not_skipped(services: Services) -> None:
    async with transaction(services.pool) as slow:
        await append(slow, [event(1)])
        await tell(services, event(2))  # a larger id, committed first
        assert await export_all(services) == 1
    assert await export_all(services) == 1
    assert await stream(services) == [(2, 1), (1, 1)]


async def test_one_aggregates_versions_keep_their_order_though_transactions_overlap(
    services: Services,
) -> None:
    async with transaction(services.pool) as early, transaction(services.pool) as running:
        await early.execute("SELECT pg_current_xact_id()")  # the smaller transaction, the later version
        await running.execute("SELECT pg_current_xact_id()")  # and one that runs on throughout
        await tell(services, event(1, version=2))
        await append(early, [event(1, version=3)])
        await export_all(services)
    await export_all(services)
    assert await stream(services) == [(1, 2), (1, 3)]


async def test_a_crash_between_export_and_cursor_repeats_and_loses_nothing(services: Services) -> None:
    await tell(services, event(1), event(2))
    before = await services.pool.fetchval("SELECT position FROM outbox_cursor")
    await export_all(services)
    await services.pool.execute("UPDATE outbox_cursor SET position = $1", before)
    await tell(services, event(3))
    assert await export_all(services) == 3
    entries = await services.redis.xrange("events:order.placed")
    ids = [int(entry[b"event_id"]) for _, entry in entries]
    assert ids[:2] == ids[2:4]  # readers know a repeat by its event_id
    assert len(set(ids)) == 3


async def test_without_redis_nothing_is_lost(services: Services) -> None:
    await tell(services, event(1))
    nowhere = redis.Redis(port=1)
    async with services.pool.acquire() as connection:
        with pytest.raises(redis.ConnectionError):
            await export_batch(connection, nowhere)
    await nowhere.aclose()
    assert await export_all(services) == 1


async def test_one_relay_exports_while_another_stands_by_and_takes_over(services: Services) -> None:
    first, second = Relay(services), Relay(services)
    await first.start()
    await second.start()
    try:
        for n in range(20):
            await tell(services, event(n))
        await wait_until(lambda: _length(services, 20))
        await first.stop()
        await tell(services, event(20))
        await wait_until(lambda: _length(services, 21))
        assert [aggregate_id for aggregate_id, _ in await stream(services)] == list(range(21))
    finally:
        await asyncio.gather(first.stop(), second.stop())


async def _length(services: Services, length: int) -> bool:
    return bool(await services.redis.xlen("events:order.placed") == length)


async def test_the_lag_is_the_age_of_the_oldest_event_that_waits(
    services: Services, client: httpx.AsyncClient
) -> None:
    async def lag_s() -> float:
        text = (await client.get("/metrics")).text
        (line,) = [line for line in text.splitlines() if line.startswith("rushcart_outbox_lag_seconds ")]
        return float(line.split()[1])

    assert await lag_s() == 0
    await tell(services, event(1))
    await services.pool.execute("UPDATE outbox SET created_at = now() - interval '30 seconds'")
    assert 30 <= await lag_s() < 60
    await export_all(services)
    assert await lag_s() == 0


async def test_old_events_are_deleted_when_every_reader_has_had_them(services: Services) -> None:
    await tell(services, event(1))
    await export_all(services)
    await tell(services, event(2))
    in_a_week = services.clock.now() + timedelta(days=8)
    await services.pool.execute("INSERT INTO outbox_cursor (reader) VALUES ('search')")
    assert await prune(services, in_a_week, 100) == 0  # a reader is still behind
    await services.pool.execute("DELETE FROM outbox_cursor WHERE reader = 'search'")
    assert await prune(services, services.clock.now(), 100) == 0  # not old
    assert await prune(services, in_a_week, 100) == 1
    assert await services.pool.fetchval("SELECT aggregate_id FROM outbox") == 2
