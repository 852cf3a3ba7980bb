"""How many of the coupons that can be claimed are gone, for showing offers: from the ledger, a moment old."""

from __future__ import annotations

import time
from collections.abc import Mapping

from app.lib.batching import Batcher
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("coupons")

# Half of the second within which coupons that are gone should look so in the app.
REFRESH_S = 0.5
# Whoever asks meanwhile shares one read.
SIZE_MAX = 1_024
BACKLOG_MAX = 8_192


class GrantedCounts:
    """How many coupons of the templates in question were given, as of half a second ago at most."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._counts: dict[str, int] = {}
        self._fresh_until = 0.0
        self._batcher: Batcher[frozenset[str], None] = Batcher(
            self._read, name="coupon-offers", size_max=SIZE_MAX, lanes_max=1, backlog_max=BACKLOG_MAX
        )

    async def of(self, template_ids: frozenset[str]) -> Mapping[str, int]:
        """Raises Unavailable when too many wait, and Postgres' errors."""
        if time.monotonic() > self._fresh_until or not template_ids <= self._counts.keys():
            await self._batcher.submit(template_ids)
        return self._counts

    async def _read(self, asked: list[frozenset[str]]) -> list[None]:
        wanted = frozenset().union(*asked)
        if time.monotonic() <= self._fresh_until:  # read while these waited
            wanted -= self._counts.keys()
        else:
            self._counts, self._fresh_until = {}, time.monotonic() + REFRESH_S
        if wanted:
            rows = await self._pool.fetch(sql.read_granted_counts, list(wanted))
            self._counts |= dict.fromkeys(wanted, 0) | {
                row["template_id"]: row["granted_count"] for row in rows
            }
        return [None] * len(asked)

    async def stop(self) -> None:
        await self._batcher.stop()
