"""A process leases its node of the ids, keeps the lease, and gives it back."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.lib import ids as making
from app.lib.errors import Unavailable
from app.lib.ids import NodeLease
from app.lib.postgres import Pool, open_pool
from tests.waiting import wait_until


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, size_max=2, statement_timeout_ms=5_000, name="test")
    yield opened
    await opened.close()


async def leased(pool: Pool) -> set[int]:
    return {row["node_id"] for row in await pool.fetch("SELECT node_id FROM node_lease")}


async def test_two_processes_never_share_a_node_and_one_that_stops_gives_its_own_back(pool: Pool) -> None:
    one, other = NodeLease(pool), NodeLease(pool)
    nodes = [(await each.start()).node_id for each in (one, other)]
    assert len(set(nodes)) == 2
    assert await leased(pool) == set(nodes)
    await one.stop()
    assert await leased(pool) == {nodes[1]}
    await other.stop()
    assert await leased(pool) == set()


async def test_a_lease_that_is_renewed_goes_on_and_one_that_is_lost_makes_no_more_ids(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "LEASE_TTL_S", 2)
    lease = NodeLease(pool)
    ids = await lease.start()
    end = ids.valid_until_monotonic

    async def renewed() -> bool:
        return ids.valid_until_monotonic > end

    async def lost() -> bool:
        try:
            ids.next()
        except Unavailable as refused:
            return refused.code == "id_lease_lost"
        return False

    await wait_until(renewed)
    ids.next()
    await pool.execute("UPDATE node_lease SET holder = gen_random_uuid()")  # somebody else has it
    await wait_until(lost)
    await lease.stop()
    assert await leased(pool) == {ids.node_id}
