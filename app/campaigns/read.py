"""Campaigns as merchants and operators see them: from the ledger, decisions included."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec

from app.campaigns.errors import CampaignNotFound
from app.campaigns.schemas import Campaign, CampaignItem, Decision
from app.lib.auth import Caller
from app.lib.page import Page
from app.lib.postgres import Connection, Pool
from app.lib.sql import load

sql = load("campaigns")


async def read_campaign(connection: Connection | Pool, caller: Caller, campaign_id: int) -> Campaign:
    """Raises CampaignNotFound, also for another shop's."""
    found = await _read(connection, [campaign_id])
    if not found or (caller.role == "merchant" and caller.shop_id != found[0].shop_id):
        raise CampaignNotFound()
    rows = await connection.fetch(sql.read_decisions, campaign_id)
    return msgspec.structs.replace(found[0], decisions=[_decision(row) for row in rows])


async def list_campaigns(
    pool: Pool, shop_id: str | None, status: str | None, before_id: int, limit: int
) -> Page[Campaign]:
    """Without their decisions, the newest first."""
    rows = await pool.fetch(sql.list_campaigns, before_id, shop_id, status, limit + 1)
    found = await _read(pool, [row["campaign_id"] for row in rows])
    return Page.cut(found, limit, lambda campaign: campaign.campaign_id)


async def _read(connection: Connection | Pool, campaign_ids: Sequence[int]) -> list[Campaign]:
    items: dict[int, list[CampaignItem]] = defaultdict(list)
    for row in await connection.fetch(sql.read_items, campaign_ids):
        fields = _fields(row, CampaignItem) | {"campaign_item_id": str(row["campaign_item_id"])}
        items[row["campaign_id"]].append(CampaignItem(**fields))
    rows = await connection.fetch(sql.read_campaigns, campaign_ids)
    return [_campaign(row, items[row["campaign_id"]]) for row in rows]


def _campaign(row: Any, items: list[CampaignItem]) -> Campaign:
    fields = _fields(row, Campaign) | {"campaign_id": str(row["campaign_id"])}
    return Campaign(**fields, items=items)


def _fields(row: Any, struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in struct.__struct_fields__}


def _decision(row: Any) -> Decision:
    item_id = row["campaign_item_id"]
    return Decision(**_fields(row, Decision) | {"campaign_item_id": item_id and str(item_id)})
