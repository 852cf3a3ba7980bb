"""Create a campaign, and change it while it is not under review: all of it, or nothing.

What has passed a review keeps its prices and stays; what was refused is judged anew, whether or not it was
changed.
"""

from __future__ import annotations

import asyncpg

from app.bootstrap import Services
from app.campaigns.errors import PricesFrozen, SkuOfOtherItem, WindowOver
from app.campaigns.locked import Locked, lock_campaign, record, sql
from app.campaigns.read import read_campaign
from app.campaigns.schemas import Campaign, CampaignDocument
from app.campaigns.state import Audit, CampaignStatus
from app.lib.auth import Caller
from app.lib.errors import NotFound
from app.lib.postgres import Connection, transaction


async def create(services: Services, caller: Caller, wanted: CampaignDocument) -> Campaign:
    """Raises NotFound (`item_not_found`), Forbidden, SkuOfOtherItem, WindowOver."""
    campaign_id, now = services.ids.next(), services.clock.now()
    async with transaction(services.pool) as connection:
        shop_id = await _check(services, connection, caller, wanted)
        await connection.execute(sql.insert_campaign, campaign_id, shop_id, *_columns(wanted), now)
        await _write_items(services, connection, campaign_id, wanted)
        await record(connection, campaign_id, caller, now, (None, "created", None))
        return await read_campaign(connection, caller, campaign_id)


async def change(services: Services, caller: Caller, campaign_id: int, wanted: CampaignDocument) -> Campaign:
    """Raises what `create` raises, CampaignNotFound, WrongStatus, PricesFrozen."""
    async with transaction(services.pool) as connection:
        locked = await lock_campaign(connection, caller, campaign_id)
        locked.require(CampaignStatus.DRAFT, CampaignStatus.REJECTED)
        await _check(services, connection, caller, wanted)
        _check_frozen(locked, wanted)
        await connection.execute(sql.update_campaign, campaign_id, *_columns(wanted))
        await connection.execute(sql.delete_other_items, campaign_id, [item.sku_id for item in wanted.items])
        await _write_items(services, connection, campaign_id, wanted)
        await record(connection, campaign_id, caller, services.clock.now(), (None, "changed", None))
        return await read_campaign(connection, caller, campaign_id)


async def _check(services: Services, connection: Connection, caller: Caller, wanted: CampaignDocument) -> str:
    """Leaves the shop whose item it is."""
    if wanted.ends_at <= services.clock.now():
        raise WindowOver()
    sku_ids = [item.sku_id for item in wanted.items]
    row = await connection.fetchrow(sql.skus_of_item, wanted.item_id, sku_ids)
    if row is None:
        raise NotFound(f"there is no item {wanted.item_id}", code="item_not_found")
    caller.require_shop(row["shop_id"])
    if others := sorted(set(sku_ids) - set(row["sku_ids"] or ())):
        raise SkuOfOtherItem(sku_ids=others)
    shop_id: str = row["shop_id"]
    return shop_id


def _check_frozen(locked: Locked, wanted: CampaignDocument) -> None:
    listed = {item.sku_id: item for item in wanted.items}
    frozen = [
        item["sku_id"]
        for item in locked.items
        if item["audit"] == Audit.PASSED
        and (item["sku_id"] not in listed or listed[item["sku_id"]].prices != _prices(item))
    ]
    if frozen or (wanted.item_id != locked.row["item_id"] and _any_passed(locked)):
        raise PricesFrozen(sku_ids=frozen)


def _prices(item: asyncpg.Record) -> tuple[str, int, int]:
    return item["currency"], item["sale_price_minor"], item["settlement_price_minor"]


def _any_passed(locked: Locked) -> bool:
    return any(item["audit"] == Audit.PASSED for item in locked.items)


def _columns(wanted: CampaignDocument) -> tuple[object, ...]:
    return (
        wanted.item_id,
        wanted.name,
        wanted.listed,
        wanted.starts_at,
        wanted.ends_at,
        wanted.orders_to_succeed,
        wanted.group_open_s,
        wanted.per_buyer_max,
        wanted.per_order_max,
        wanted.groups_at_once_max,
        wanted.stock_policy,
        wanted.complete_from_bp,
    )


async def _write_items(
    services: Services, connection: Connection, campaign_id: int, wanted: CampaignDocument
) -> None:
    items = wanted.items
    await connection.execute(
        sql.upsert_items,
        campaign_id,
        [services.ids.next() for _ in items],
        [item.sku_id for item in items],
        [item.session for item in items],
        [item.ticket_category for item in items],
        [item.currency for item in items],
        [item.sale_price_minor for item in items],
        [item.settlement_price_minor for item in items],
        [item.total_stock for item in items],
    )
