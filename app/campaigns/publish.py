"""Publish a campaign, by an operator or when its start comes: its stock is set aside, its sale opens.

Once, however many try: the campaign's row is locked. Where normal sale has too little, nothing changes and
that is on record; the start tries again every minute.
"""

from __future__ import annotations

from datetime import datetime

from app.bootstrap import Services
from app.campaigns.errors import NotReviewed, WindowOver
from app.campaigns.locked import CLOCK, Locked, announce, item_ids, lock_campaign, move, record, sql
from app.campaigns.read import read_campaign
from app.campaigns.schemas import Campaign
from app.campaigns.state import Audit, CampaignStatus
from app.lib import outbox
from app.lib.auth import Caller
from app.lib.each_settled import each_alone
from app.lib.errors import AppError, Conflict
from app.lib.postgres import Connection, transaction
from app.seats.suffice import require_seats
from app.stock.set_aside import LockedPool, lock_pools, open_pools, pools_by_sku, set_aside


async def publish(services: Services, caller: Caller, campaign_id: int) -> Campaign:
    """Raises CampaignNotFound, WrongStatus, NotReviewed, WindowOver, Conflict (`out_of_stock`, `sku_ids`).

    And TooFewSeats, where a SKU has a map of seats.
    """
    now = services.clock.now()
    async with transaction(services.pool) as connection:
        locked = await lock_campaign(connection, caller, campaign_id)
        pools = await _publish(connection, caller, locked, now)
        campaign = await read_campaign(connection, caller, campaign_id)
    await services.gate.load([(each.shop_id, each.pool_id) for each in pools])
    return campaign


async def publish_due(services: Services, now: datetime, limit: int) -> int:
    """Those that have passed and whose start has come; returns how many were tried."""
    due = await services.pool.fetch(sql.campaigns_to_publish, now, limit)

    async def try_it(campaign_id: int) -> int:
        try:
            await publish(services, CLOCK, campaign_id)
        except Conflict as refused:
            await say_why(campaign_id, refused.code)
        return 1

    async def say_why(campaign_id: int, code: str = AppError.code) -> None:
        async with transaction(services.pool) as connection:
            await record(connection, campaign_id, CLOCK, now, (None, "not_published", code))

    return await each_alone("publish_campaigns", [row["campaign_id"] for row in due], try_it, say_why)


async def _publish(connection: Connection, caller: Caller, locked: Locked, now: datetime) -> list[LockedPool]:
    locked.require(CampaignStatus.SUBMITTED)
    if pending := [item for item in locked.items if item["audit"] != Audit.PASSED]:
        raise NotReviewed(campaign_item_ids=item_ids(pending))
    if locked.row["ends_at"] <= now:
        raise WindowOver()
    stock = {item["sku_id"]: item["total_stock"] for item in locked.items}
    pools = await lock_pools(connection, locked.activity_id, stock)
    await set_aside(connection, locked.activity_id, stock, pools)
    await require_seats(connection, stock)
    own = pools_by_sku(pools, locked.activity_id)
    await open_pools(connection, list(own.values()))
    await connection.execute(sql.open_items, locked.campaign_id, list(own), list(own.values()))
    await move(connection, locked, CampaignStatus.PUBLISHED, now)
    await record(connection, locked.campaign_id, caller, now, (None, "published", None))
    await outbox.append(connection, [_published(locked)])
    await announce(connection, locked.campaign_id)
    return pools


def _published(locked: Locked) -> outbox.Event:
    payload = {
        "campaign_id": str(locked.campaign_id),
        "shop_id": locked.row["shop_id"],
        "item_id": locked.row["item_id"],
        "starts_at": locked.row["starts_at"],
        "ends_at": locked.row["ends_at"],
    }
    return outbox.Event("campaign.published", locked.campaign_id, locked.row["version"] + 1, payload)
