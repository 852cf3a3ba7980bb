"""What campaigns sell, kept for a moment in the process: a rush for one campaign does not read it each time.

Only for drafting an order: status, price and stock are decided over locked rows.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.campaigns.errors import CampaignItemNotFound
from app.groups.admit import Offer
from app.lib.batching import Batcher
from app.lib.errors import AppError
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("groups")

# As soon as any change is seen: within a second. Prices of a published campaign do not change at all.
KEPT_S = 1.0
# About 1 kB each; when more are on sale at once, all are forgotten and read anew.
KEPT_MAX = 10_000
# One look-up of so many takes about 2 ms.
READ_SIZE_MAX = 256
BACKLOG_MAX = 8_192


class Offers:
    """`stop` finishes what is being read."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        # with the moment from which it is read anew
        self._kept: dict[int, tuple[Offer, float]] = {}
        self._batcher: Batcher[int, Offer] = Batcher(
            self._read, name="group-offers", size_max=READ_SIZE_MAX, lanes_max=1, backlog_max=BACKLOG_MAX
        )

    async def get(self, campaign_item_id: int) -> Offer:
        """Raises CampaignItemNotFound, and Unavailable when too many wait."""
        kept = self._kept.get(campaign_item_id)
        if kept is not None and time.monotonic() < kept[1]:
            return kept[0]
        return await self._batcher.submit(campaign_item_id)

    async def _read(self, item_ids: list[int]) -> Sequence[Offer | AppError]:
        rows = await self._pool.fetch(sql.read_offers, item_ids)
        found = {row["campaign_item_id"]: Offer(**row) for row in rows}
        if len(self._kept) + len(found) > KEPT_MAX:
            self._kept.clear()
        until = time.monotonic() + KEPT_S
        self._kept |= {item_id: (offer, until) for item_id, offer in found.items()}
        return [found.get(each) or CampaignItemNotFound() for each in item_ids]

    async def stop(self) -> None:
        await self._batcher.stop()
