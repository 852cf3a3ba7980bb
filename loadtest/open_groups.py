"""Groups of ten that one buyer each has started: what the bench's claims of slots are for.

Enters a filled stage, leaves a published campaign with as many open groups as the claims need. The campaign
is made by the calls for it, the groups by SQL (open_groups.sql), as their first orders would have left them.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec

from app.lib.auth import make_token
from app.settings import Settings
from loadtest import goods
from loadtest.stage import publish_campaign

SCRIPT = Path(__file__).with_name("open_groups.sql")
GROUP_PATH = "/groupbuy/orders"
SLOTS = 10
PRICE_MINOR = 900


class OpenGroups(msgspec.Struct, frozen=True):
    campaign_item_id: str
    group_ids: list[int]
    free_slots: int = SLOTS - 1

    def join_body(self, group_id: int, address_id: str) -> dict[str, Any]:
        return {"campaign_item_id": self.campaign_item_id, "quantity": 1, "payable_minor": PRICE_MINOR,
                "group_id": str(group_id), "address_id": address_id}  # fmt: skip


def open_groups(base_url: str, settings: Settings, claims: int) -> OpenGroups:
    """Enough of them for so many claims."""
    return asyncio.run(_open_groups(base_url, settings, -(-claims // (SLOTS - 1))))


async def _open_groups(base_url: str, settings: Settings, groups: int) -> OpenGroups:
    async with httpx.AsyncClient(base_url=base_url, timeout=30.0, trust_env=False) as http:
        return await open_groups_with(http, settings, groups)


async def open_groups_with(http: httpx.AsyncClient, settings: Settings, groups: int) -> OpenGroups:
    """So many, by calls of this client."""
    op = make_token(settings, sub="bench", role="op")
    campaign = await publish_campaign(http, op, _campaign())
    connection = await asyncpg.connect(settings.database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('bench.groups', $1, true)", str(groups))
            await connection.execute("SELECT set_config('bench.campaign', $1, true)", campaign["campaign_id"])
            await connection.execute(SCRIPT.read_text())
            rows = await connection.fetch("SELECT order_id FROM started ORDER BY order_id")
    finally:
        await connection.close()
    (sold,) = [item for item in campaign["items"] if item["sku_id"] == goods.GROUP_SKU]
    return OpenGroups(sold["campaign_item_id"], [row["order_id"] for row in rows])


def _campaign() -> dict[str, Any]:
    """Body of `POST /merchant/campaigns`: what members buy, and what starts groups for nothing."""
    now = datetime.now(UTC)
    starts_at, ends_at = now - timedelta(hours=1), now + timedelta(days=1)
    prices = {goods.GROUP_SKU: PRICE_MINOR, goods.FREE_SKU: 0}
    items = [{"sku_id": sku_id, "currency": goods.CURRENCY, "sale_price_minor": price_minor,
              "settlement_price_minor": price_minor, "total_stock": goods.ON_HAND // 2}
             for sku_id, price_minor in prices.items()]  # fmt: skip
    return {"item_id": goods.GROUP_ITEM, "name": "Groups of ten",
            "starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat(), "orders_to_succeed": SLOTS,
            "group_open_s": 86_400, "items": items}  # fmt: skip
