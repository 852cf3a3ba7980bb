"""A campaign as a verb holds it: locked, with its items; and what every verb leaves on record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg
from msgspec import Struct

from app.campaigns.errors import CampaignItemNotFound, CampaignNotFound, WrongStatus
from app.campaigns.state import CampaignStatus, sources
from app.lib.auth import Caller
from app.lib.postgres import Connection
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.stock.set_aside import CAMPAIGN_PREFIX

sql = load("campaigns")

# Who acts where a deadline does.
CLOCK = Caller("clock", "clock")


class Locked(Struct, frozen=True):
    """Its row is locked until the transaction ends, so its items stand still, too."""

    row: asyncpg.Record
    items: Sequence[asyncpg.Record]

    @property
    def campaign_id(self) -> int:
        campaign_id: int = self.row["campaign_id"]
        return campaign_id

    @property
    def activity_id(self) -> str:
        """Under which its own stock stands (`stock_pool.activity_id`)."""
        return activity_of(self.campaign_id)

    def item(self, campaign_item_id: int) -> asyncpg.Record:
        """Raises CampaignItemNotFound."""
        for item in self.items:
            if item["campaign_item_id"] == campaign_item_id:
                return item
        raise CampaignItemNotFound()

    def require(self, *statuses: CampaignStatus) -> None:
        """Raises WrongStatus."""
        if self.row["status"] not in statuses:
            raise WrongStatus(f"it is {self.row['status']}", campaign_status=self.row["status"])


def activity_of(campaign_id: int) -> str:
    return f"{CAMPAIGN_PREFIX}{campaign_id}"


async def lock_campaign(connection: Connection, caller: Caller, campaign_id: int) -> Locked:
    """Raises CampaignNotFound, also for another shop's."""
    row = await connection.fetchrow(sql.lock_campaign, campaign_id)
    if row is None or (caller.role == "merchant" and caller.shop_id != row["shop_id"]):
        raise CampaignNotFound()
    return Locked(row, await connection.fetch(sql.read_items, [campaign_id]))


async def lock_campaign_of_item(connection: Connection, caller: Caller, campaign_item_id: int) -> Locked:
    """Raises CampaignItemNotFound."""
    campaign_id = await connection.fetchval(sql.campaign_of_item, campaign_item_id)
    if campaign_id is None:
        raise CampaignItemNotFound()
    try:
        return await lock_campaign(connection, caller, campaign_id)
    except CampaignNotFound:
        raise CampaignItemNotFound() from None


async def move(connection: Connection, locked: Locked, to: CampaignStatus, now: datetime) -> None:
    """Raises WrongStatus where the machine has no such way."""
    if await connection.fetchval(sql.move_campaign, locked.campaign_id, to, sources(to), now) is None:
        raise WrongStatus(f"it is {locked.row['status']}", campaign_status=locked.row["status"])


async def announce(connection: Connection, campaign_id: int) -> None:
    """What buyers see of it has changed: every process reads it again. The last of a transaction's locks."""
    version = await lock_version(connection, "campaigns")
    await connection.execute(sql.stamp_campaign, campaign_id, version)
    await publish_version(connection, "campaigns", version)


async def record(
    connection: Connection,
    campaign_id: int,
    caller: Caller,
    now: datetime,
    *actions: tuple[int | None, str, str | None],
) -> None:
    """Each action is (campaign item or None, what was done, why)."""
    columns = map(list, zip(*actions, strict=True))
    await connection.execute(sql.record_decisions, campaign_id, *columns, caller.role, caller.sub, now)


def item_ids(items: Iterable[asyncpg.Record]) -> list[str]:
    return [str(item["campaign_item_id"]) for item in items]
