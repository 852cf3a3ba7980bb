"""Ids of 63 bits, sorted by time: 41 bits of milliseconds, 10 of the node, 12 of a sequence.

The node part is leased from Postgres (`node_lease`), so that two processes never share one: a lease is
taken for `LEASE_TTL_S`, renewed at a third of it, and an id is refused once it may have passed to somebody
else. Ids are sent to clients as strings, since JavaScript's numbers end at 53 bits.
"""

from __future__ import annotations

import contextlib
import time
import uuid

import asyncpg

from app.lib.errors import Unavailable
from app.lib.kept_fresh import KeptFresh
from app.lib.postgres import TRANSIENT_ERRORS, Pool
from app.lib.sql import load

sql = load("ids")

# 2025-01-01T00:00:00Z: 41 bits of milliseconds from here end in 2094.
EPOCH_MS = 1_735_689_600_000
NODE_BITS = 10
SEQUENCE_BITS = 12
SEQUENCE_MAX = (1 << SEQUENCE_BITS) - 1
# Longer than any outage of Postgres that a process should sit out with its node; a killed process keeps its
# node for as long, of which there are 1,024.
LEASE_TTL_S = 600

ID_MAX = (1 << 63) - 1


def parse_id(text: str) -> int:
    """The number behind an id that a client sent; 0, which nothing has, where it is none."""
    if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) <= ID_MAX:
        return int(text)
    return 0


class IdMaker:
    """Makes ids for one node. Not for use from several threads."""

    def __init__(self, node_id: int, valid_until_monotonic: float = float("inf")) -> None:
        if not 0 <= node_id < 1 << NODE_BITS:
            raise ValueError(f"node_id {node_id} is not within 0..{(1 << NODE_BITS) - 1}")
        self.node_id = node_id
        self.valid_until_monotonic = valid_until_monotonic
        self._last_ms = 0
        self._sequence = 0

    def next(self) -> int:
        """A new id. Raises Unavailable when the node's lease has run out."""
        now_ms = time.time_ns() // 1_000_000 - EPOCH_MS
        if now_ms > self._last_ms:
            if time.monotonic() >= self.valid_until_monotonic:
                raise Unavailable("this process has lost its id lease", code="id_lease_lost", retry_after_s=2)
            self._last_ms, self._sequence = now_ms, 0
        elif self._sequence < SEQUENCE_MAX:
            self._sequence += 1
        else:  # 4,096 ids within one millisecond, or the clock went back: borrow from the next one
            self._last_ms, self._sequence = self._last_ms + 1, 0
        return (
            (self._last_ms << (NODE_BITS + SEQUENCE_BITS)) | (self.node_id << SEQUENCE_BITS) | self._sequence
        )


class NodeLease:
    """Holds a node id for as long as the process lives, and gives it back at the end."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._holder = uuid.uuid4()
        self._fresh = KeptFresh(self._renew, name="id-lease", period_s=LEASE_TTL_S / 3)
        self.ids = IdMaker(0, valid_until_monotonic=0.0)

    async def start(self) -> IdMaker:
        """Take a free node. Raises RuntimeError when all 1,024 are taken."""
        asked_at = time.monotonic()
        node_id = await self._pool.fetchval(sql.take_node, self._holder, LEASE_TTL_S)
        if node_id is None:
            raise RuntimeError("all 1,024 id nodes are leased: look into the table node_lease")
        self.ids = IdMaker(node_id, asked_at + LEASE_TTL_S)
        self._fresh.start()
        return self.ids

    async def _renew(self) -> None:
        asked_at = time.monotonic()
        if await self._pool.fetchval(sql.renew_node, self.ids.node_id, self._holder, LEASE_TTL_S):
            self.ids.valid_until_monotonic = asked_at + LEASE_TTL_S

    async def stop(self) -> None:
        await self._fresh.stop()
        if self.ids.valid_until_monotonic:  # a node was taken; one that cannot be given back ends by itself
            with contextlib.suppress(asyncpg.PostgresError, *TRANSIENT_ERRORS):
                await self._pool.execute(sql.release_node, self.ids.node_id, self._holder)
