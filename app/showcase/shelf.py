"""What is on sale by group buying, as this process knows it: kept in memory, no older than a second.

Campaigns are read by version, as prices are; stock left and waiting groups of those that somebody has asked
for are read again with each poll, all together, so that a thousand readers cost the ledger what one does. Who
asks for what is not known yet waits for one reading, together with all who ask at that moment. What is shown
of an item is built once between two polls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from app.lib.batching import Batcher
from app.lib.clock import Clock
from app.lib.ids import ID_MAX
from app.lib.kept_fresh import KeptFresh
from app.lib.postgres import Pool
from app.pricing.snapshots import PriceSnapshots
from app.showcase.choose import NOTHING_LEFT, Availability, cheapest, whole
from app.showcase.schemas import CampaignOnSale, CampaignWhole, SlotsDocument, WaitingGroup
from app.showcase.snapshot import Campaign, Campaigns, Offer, campaign
from app.showcase.waiting import Wanted, read_waiting, sql

# A change must be seen everywhere within a second: three polls fit, should one be slow or lost.
POLL_S = 0.3
# How long a campaign's stock and groups are read again after somebody has asked for it: what is popular is
# asked for again by then, and what is not costs its next visitor a round trip.
KEEP_S = 3.0
# From so many campaigns on they are kept more briefly: a thousand with five groups each take Postgres 25 ms a
# poll, and this process 15. Not below a second: who has just waited for a reading must still find it.
KNOWN_MANY = 1_000
KEEP_MANY_S = 1.0
# Of each the newest that wait: enough to find some that want few members yet.
GROUPS_READ = 5
# Campaigns, or pages of groups, that one statement reads: some milliseconds before the loop does other work.
READ_SIZE_MAX = 256
# What a busy process may let wait for that.
BACKLOG_MAX = 4_096


class Shelf:
    """`start` reads all campaigns and begins to poll; `stop` ends it."""

    def __init__(self, pool: Pool, clock: Clock, prices: PriceSnapshots) -> None:
        self._pool = pool
        self._clock = clock
        self._prices = prices
        self._version = 0
        self.campaigns = Campaigns()
        self._known: dict[int, Availability] = {}
        # when each was asked for, by the monotonic clock
        self._asked: dict[int, float] = {}
        # what is shown until the next poll, by item and by campaign
        self._by_item: dict[str, CampaignOnSale | None] = {}
        self._by_campaign: dict[int, CampaignOnSale | None] = {}
        self._refreshing = asyncio.Lock()
        self._fresh = KeptFresh(self.refresh, name="showcase", period_s=POLL_S)
        self._learning: Batcher[int, None] = Batcher(
            self._learn, name="showcase", size_max=READ_SIZE_MAX, lanes_max=1, backlog_max=BACKLOG_MAX
        )
        self._learning_now: dict[int, asyncio.Future[None]] = {}
        self._pages: Batcher[Wanted, list[WaitingGroup]] = Batcher(
            self._read_pages,
            name="waiting-groups",
            size_max=READ_SIZE_MAX,
            lanes_max=1,
            backlog_max=BACKLOG_MAX,
        )

    # --- What is shown -------------------------------------------------------------------------------------

    async def of_items(self, item_ids: Iterable[str]) -> list[CampaignOnSale]:
        """What is shown of these items, in order; nothing of those that no campaign sells now."""
        by_item, shown = self.campaigns.by_item, self._by_item
        await self._know([each for one in item_ids if one not in shown for each in by_item.get(one, ())])
        return [found for each in item_ids if (found := self._of_item(each)) is not None]

    async def of_campaigns(self, campaign_ids: Sequence[int]) -> list[CampaignOnSale]:
        """The same of these campaigns that everyone may find."""
        by_id = self.campaigns.by_id
        listed = [one for each in campaign_ids if (one := by_id.get(each)) and one.listed]
        await self._know([each for each in listed if each.campaign_id not in self._by_campaign])
        return [found for each in listed if (found := self._of_campaign(each)) is not None]

    async def whole(self, one: Campaign) -> CampaignWhole:
        await self._know([one])
        return whole(one, self._availability(one), self._prices.book, self._clock.now())

    async def quantity_left(self, one: Campaign, offer: Offer) -> int:
        """0 of what is not published, or over."""
        await self._know([one] if one.campaign_id in self.campaigns.by_id else [])
        return self._availability(one).left.get(offer.pool_id, 0)

    async def waiting(self, wanted: Wanted) -> list[WaitingGroup]:
        """From the ledger; who asks for the same at the same moment shares the answer."""
        return await self._pages.submit(wanted)

    def _of_item(self, item_id: str) -> CampaignOnSale | None:
        if item_id not in self._by_item and (found := self.campaigns.by_item.get(item_id)):
            self._by_item[item_id] = self._cheapest(found)
        return self._by_item.get(item_id)

    def _of_campaign(self, one: Campaign) -> CampaignOnSale | None:
        if one.campaign_id not in self._by_campaign:
            self._by_campaign[one.campaign_id] = self._cheapest([one])
        return self._by_campaign[one.campaign_id]

    def _cheapest(self, campaigns: Iterable[Campaign]) -> CampaignOnSale | None:
        return cheapest(campaigns, self._known, self._prices.book, self._clock.now())

    def _availability(self, one: Campaign) -> Availability:
        return self._known.get(one.campaign_id, NOTHING_LEFT)

    # --- What is known -------------------------------------------------------------------------------------

    async def _know(self, campaigns: Sequence[Campaign]) -> None:
        """Raises Postgres' errors, and Unavailable when too many wait."""
        now = time.monotonic()
        self._asked |= {each.campaign_id: now for each in campaigns}
        unknown = [each.campaign_id for each in campaigns if each.campaign_id not in self._known]
        if unknown:
            await asyncio.gather(*[asyncio.shield(self._being_learned(each)) for each in unknown])

    def _being_learned(self, campaign_id: int) -> asyncio.Future[None]:
        """A crowd that asks for the same campaigns at one moment waits as one, however many it is."""
        learning = self._learning_now.get(campaign_id)
        if learning is None or learning.done():
            learning = self._learning_now[campaign_id] = self._learning.submit(campaign_id)
        return learning

    async def _learn(self, campaign_ids: Sequence[int]) -> list[None]:
        found = await self._read_availability(set(campaign_ids))
        self._known |= found  # what it is now: a poll may have replaced it meanwhile
        return [None] * len(campaign_ids)

    async def _read_availability(self, campaign_ids: Iterable[int]) -> dict[int, Availability]:
        by_id = self.campaigns.by_id
        campaigns = [by_id[each] for each in campaign_ids if each in by_id]
        if not campaigns:
            return {}
        pools = [offer.pool_id for each in campaigns for offer in each.offers]
        rows = await self._pool.fetch(sql.stock_left, pools)
        left = {row["pool_id"]: row["quantity_left"] for row in rows}
        wanted = [Wanted(each.campaign_id, ID_MAX, GROUPS_READ) for each in campaigns]
        groups = await read_waiting(self._pool, wanted, self._clock.now())
        return {
            each.campaign_id: Availability(
                {offer.pool_id: left[offer.pool_id] for offer in each.offers if offer.pool_id in left},
                waiting,
            )
            for each, waiting in zip(campaigns, groups, strict=True)
        }

    async def _read_pages(self, wanted: Sequence[Wanted]) -> list[list[WaitingGroup]]:
        different = list(dict.fromkeys(wanted))
        found = dict(
            zip(different, await read_waiting(self._pool, different, self._clock.now()), strict=True)
        )
        return [found[each] for each in wanted]

    # --- Staying fresh -------------------------------------------------------------------------------------

    async def start(self) -> None:
        await self.refresh()
        self._fresh.start()

    async def stop(self) -> None:
        await self._fresh.stop()
        await self._learning.stop()
        await self._pages.stop()

    async def refresh(self) -> None:
        """Take over all that was committed before this call."""
        async with self._refreshing:
            # The version first: what is committed while the rows are read is read again next time.
            version = await self._pool.fetchval(sql.campaigns_version)
            if version > self._version:
                self.campaigns = await self._read_changes(self._version)
                self._version = version
                self._prices.learn_group_sales(self.campaigns.group_sales())
            oldest = time.monotonic() - (KEEP_S if len(self._asked) < KNOWN_MANY else KEEP_MANY_S)
            by_id = self.campaigns.by_id
            self._asked = {one: at for one, at in self._asked.items() if at > oldest and one in by_id}
            self._known = {one: seen for one, seen in self._known.items() if one in self._asked}
            self._learning_now = {one: each for one, each in self._learning_now.items() if not each.done()}
            for some in _parts(list(self._asked)):
                found = await self._read_availability(some)
                self._known |= found
            self._by_item.clear()
            self._by_campaign.clear()

    async def _read_changes(self, since: int) -> Campaigns:
        changed = [row["campaign_id"] for row in await self._pool.fetch(sql.campaigns_since, since)]
        by_id = dict(self.campaigns.by_id)
        for some in _parts(changed):
            by_id |= {
                row["campaign_id"]: campaign(row) for row in await self._pool.fetch(sql.read_campaigns, some)
            }
        slots = self.campaigns.slots
        row = await self._pool.fetchrow(sql.current_slots)
        if row is not None and row["version"] > since:
            slots = msgspec.convert(row["document"], SlotsDocument)
        return Campaigns.of(by_id.values(), slots)


def _parts(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), READ_SIZE_MAX):
        yield ids[start : start + READ_SIZE_MAX]
