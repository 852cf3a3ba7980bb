"""A cart's lines name the group-buy campaigns that their SKUs are in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.campaigns.end import end_due
from app.lib.clock import OffsetClock
from tests.showcase.conftest import Market


async def campaigns(market: Market, *sku_ids: str) -> list[list[str]]:
    """Of each line, as a price without login tells them."""
    await market.services.shelf.refresh()
    body: dict[str, Any] = {"currency": "CNY", "lines": [{"sku_id": each, "quantity": 1} for each in sku_ids]}
    priced = await market.call({}, "POST", "/shopping/cal_price/v4_4", body)
    lines = [line for shop in priced["shops"] for line in shop["lines"]]
    named = [line.get("activities", []) for line in lines]
    return [[each["activity_id"] for each in one if each["kind"] == "campaign"] for one in named]


async def test_open_listed_campaigns_are_named_and_closed_ones_are_not(
    market: Market, clock: OffsetClock
) -> None:
    tea = await market.publish("tea", {"1001": 8_000, "1002": 8_000})
    await market.publish("pot", {"2001": 8_000}, shop_id="8", listed=False)
    assert await campaigns(market, "1001", "1002", "2001") == [[tea["campaign_id"]], [tea["campaign_id"]], []]
    await market.set_sale(tea, "CLOSED", 1)
    assert await campaigns(market, "1001", "1002") == [[tea["campaign_id"]], []]
    await market.services.prices.refresh()
    assert await campaigns(market, "1001") == [[tea["campaign_id"]]]
    clock.advance(timedelta(hours=10))
    assert await campaigns(market, "1001") == [[]]
    await end_due(market.services, clock.now(), 10)


async def test_a_withdrawn_campaign_is_named_no_more(market: Market) -> None:
    tea = await market.publish("tea", {"1001": 8_000})
    assert await campaigns(market, "1001") == [[tea["campaign_id"]]]
    await market.withdraw(tea)
    assert await campaigns(market, "1001") == [[]]
