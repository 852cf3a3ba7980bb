"""What a merchant may do to what is on sale: open and close it, and change its stock while it is closed."""

from __future__ import annotations

from typing import Literal

from app.bootstrap import Services
from app.campaigns.errors import SaleOpen
from app.campaigns.locked import announce, lock_campaign_of_item, record, sql
from app.campaigns.read import read_campaign
from app.campaigns.schemas import Campaign
from app.campaigns.state import CampaignStatus, SellStatus
from app.lib.auth import Caller
from app.lib.postgres import transaction
from app.seats.suffice import require_seats
from app.stock.set_aside import close_pools, lock_pools, open_pools, set_aside


async def set_sell_status(
    services: Services, caller: Caller, campaign_item_id: int, wanted: Literal["OPEN", "CLOSED"]
) -> Campaign:
    """The same again changes nothing. Raises CampaignItemNotFound, WrongStatus (not published)."""
    async with transaction(services.pool) as connection:
        locked = await lock_campaign_of_item(connection, caller, campaign_item_id)
        locked.require(CampaignStatus.PUBLISHED)
        item = locked.item(campaign_item_id)
        if item["sell_status"] != wanted:
            opened = wanted == SellStatus.OPEN
            await (open_pools if opened else close_pools)(connection, [item["pool_id"]])
            await connection.execute(sql.set_sell_status, campaign_item_id, wanted)
            await connection.execute(sql.touch_campaign, locked.campaign_id)
            action = (campaign_item_id, "sale_opened" if opened else "sale_closed", None)
            await record(connection, locked.campaign_id, caller, services.clock.now(), action)
            await announce(connection, locked.campaign_id)
        campaign = await read_campaign(connection, caller, locked.campaign_id)
    if item["pool_id"] is not None:
        await services.gate.load([(campaign.shop_id, item["pool_id"])])
    return campaign


async def set_stock(services: Services, caller: Caller, campaign_item_id: int, total_stock: int) -> Campaign:
    """So many units in all, sold ones included; the difference comes from normal sale or goes there.

    Raises CampaignItemNotFound, WrongStatus, SaleOpen, TooFewSeats, Conflict (`out_of_stock`,
    `below_reserved`).
    """
    async with transaction(services.pool) as connection:
        locked = await lock_campaign_of_item(connection, caller, campaign_item_id)
        locked.require(*(set(CampaignStatus) - {CampaignStatus.ENDED}))
        item = locked.item(campaign_item_id)
        if item["sell_status"] == SellStatus.OPEN:
            raise SaleOpen()
        pools = []
        delta = total_stock - item["total_stock"]
        if item["pool_id"] is not None:
            pools = await lock_pools(connection, locked.activity_id, [item["sku_id"]])
            await set_aside(connection, locked.activity_id, {item["sku_id"]: delta}, pools)
            await require_seats(connection, [item["sku_id"]])
        if delta:
            await connection.execute(sql.set_total_stock, campaign_item_id, total_stock)
            await connection.execute(sql.touch_campaign, locked.campaign_id)
            action = (campaign_item_id, "stock_set", f"{item['total_stock']} -> {total_stock}")
            await record(connection, locked.campaign_id, caller, services.clock.now(), action)
        campaign = await read_campaign(connection, caller, locked.campaign_id)
    await services.gate.load([(each.shop_id, each.pool_id) for each in pools])
    return campaign
