"""End a campaign: its time is over, or it is withdrawn. What is free of its stock goes back to normal sale.

What is reserved stays until its order is paid or closed; a release after the end goes to the normal pool.
"""

from __future__ import annotations

from datetime import datetime

from app.bootstrap import Services
from app.campaigns.errors import WrongStatus
from app.campaigns.locked import CLOCK, Locked, announce, lock_campaign, move, record, sql
from app.campaigns.read import read_campaign
from app.campaigns.schemas import Campaign
from app.campaigns.state import CampaignStatus
from app.lib import outbox
from app.lib.auth import Caller
from app.lib.each_settled import each_alone
from app.lib.postgres import Connection, transaction
from app.stock.set_aside import LockedPool, lock_pools, put_back


async def withdraw(services: Services, caller: Caller, campaign_id: int, reason: str) -> Campaign:
    """Raises CampaignNotFound, and WrongStatus when it has ended already."""
    now = services.clock.now()
    async with transaction(services.pool) as connection:
        locked = await lock_campaign(connection, caller, campaign_id)
        pools = await _end(connection, caller, locked, now, "withdrawn", reason)
        campaign = await read_campaign(connection, caller, campaign_id)
    await services.gate.load([(each.shop_id, each.pool_id) for each in pools])
    return campaign


async def end_due(services: Services, now: datetime, limit: int) -> int:
    """Those whose time is over, published or not; returns how many."""
    due = await services.pool.fetch(sql.campaigns_to_end, now, limit)

    async def end(campaign_id: int) -> int:
        async with transaction(services.pool) as connection:
            locked = await lock_campaign(connection, CLOCK, campaign_id)
            try:
                pools = await _end(connection, CLOCK, locked, now, "ended", None)
            except WrongStatus:  # another worker, or withdrawn a moment ago
                return 1
        await services.gate.load([(each.shop_id, each.pool_id) for each in pools])
        return 1

    return await each_alone("end_campaigns", [row["campaign_id"] for row in due], end)


async def _end(
    connection: Connection, caller: Caller, locked: Locked, now: datetime, action: str, reason: str | None
) -> list[LockedPool]:
    await move(connection, locked, CampaignStatus.ENDED, now)
    pools: list[LockedPool] = []
    if locked.row["status"] == CampaignStatus.PUBLISHED:
        sku_ids = [item["sku_id"] for item in locked.items]
        pools = await lock_pools(connection, locked.activity_id, sku_ids)
        await put_back(connection, locked.activity_id, pools)
        await connection.execute(sql.close_items, locked.campaign_id)
    await record(connection, locked.campaign_id, caller, now, (None, action, reason))
    payload = {"campaign_id": str(locked.campaign_id), "shop_id": locked.row["shop_id"], "reason": action}
    event = outbox.Event("campaign.ended", locked.campaign_id, locked.row["version"] + 1, payload)
    await outbox.append(connection, [event])
    await announce(connection, locked.campaign_id)
    return pools
