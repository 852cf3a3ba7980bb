"""A change is seen by every process within a second; a crowd of readers costs the ledger what one does."""

from __future__ import annotations

import asyncio

import pytest

from app.bootstrap import Services, open_services
from app.lib.clock import OffsetClock
from app.lib.postgres import transaction
from app.settings import Settings
from app.showcase import shelf
from tests.groups.conftest import PRICE_MINOR
from tests.showcase.conftest import Market
from tests.waiting import wait_until

FRESH_S = 1.0


async def sees(other: Services, *expected: tuple[str, int]) -> None:
    """Within a second the other process shows these SKUs, at these prices, of the item tea."""

    async def so() -> bool:
        found = await other.shelf.of_items(["tea"])
        return [(each.offer.sku_id, each.offer.sale_price_minor) for each in found] == list(expected)

    await wait_until(so, FRESH_S)


async def test_publishing_and_withdrawing_are_seen_by_another_process(
    market: Market, other: Services
) -> None:
    await sees(other)
    dear = await market.publish("tea", {"1001": 8_000})
    await sees(other, ("1001", 8_000))
    cheap = await market.publish("tea", {"1002": 7_000})
    await sees(other, ("1002", 7_000))
    await market.withdraw(cheap)
    await sees(other, ("1001", 8_000))
    await market.withdraw(dear)
    await sees(other)


async def test_closing_and_opening_a_sale_are_seen_by_another_process(
    market: Market, other: Services
) -> None:
    campaign = await market.publish("tea", {"1001": 7_000, "1002": 8_000})
    await sees(other, ("1001", 7_000))
    await market.set_sale(campaign, "CLOSED")
    await sees(other, ("1002", 8_000))
    await market.set_sale(campaign, "OPEN")
    await sees(other, ("1001", 7_000))


async def test_selling_out_and_new_stock_are_seen_by_another_process(market: Market, other: Services) -> None:
    campaign = await market.publish("tea", {"1001": PRICE_MINOR}, stock=1, stock_policy="each_member")
    await sees(other, ("1001", PRICE_MINOR))
    await market.order("ann")
    await sees(other)
    await market.set_sale(campaign, "CLOSED")
    path = f"/merchant/campaign_items/{campaign['items'][0]['campaign_item_id']}/stock"
    await market.call(market.merchant, "PUT", path, {"total_stock": 2})
    await market.set_sale(campaign, "OPEN")
    await sees(other, ("1001", PRICE_MINOR))


async def test_a_group_that_starts_and_fills_is_seen_by_another_process(
    market: Market, other: Services
) -> None:
    await market.publish("tea", {"1001": PRICE_MINOR})

    async def waits(*expected: int) -> None:
        async def so() -> bool:
            found = await other.shelf.of_items(["tea"])
            return [[each.places_left for each in shown.groups] for shown in found] == [list(expected)]

        await wait_until(so, FRESH_S)

    await waits()
    group_id = await market.paid("ann")
    await waits(2)
    await market.order("bo", group_id)
    await waits(1)
    await market.order("cy", group_id)
    await waits()


async def test_a_process_that_starts_shows_all_that_is_published_and_nothing_else(
    market: Market, settings: Settings, clock: OffsetClock
) -> None:
    await market.publish("tea", {"1001": 8_000})
    await market.draft("tea", {"1002": 5_000})
    await market.withdraw(await market.publish("tea", {"1002": 6_000}))
    async with open_services(settings, name="late", clock=clock) as late:
        (found,) = await late.shelf.of_items(["tea"])
        assert (found.offer.sku_id, found.offer.sale_price_minor) == ("1001", 8_000)
        assert len(late.shelf.campaigns.by_id) == 1


async def test_a_crowd_that_asks_at_one_moment_waits_for_one_reading(
    market: Market, services: Services
) -> None:
    await market.publish("tea", {"1001": 8_000})

    async def waiting() -> int:
        found: int = await services.pool.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND wait_event_type = 'Lock'"
        )
        return found

    async def some_wait() -> bool:
        return await waiting() > 0

    async with transaction(services.pool) as connection:
        await connection.execute("LOCK TABLE stock_pool")
        crowd = asyncio.gather(*[services.shelf.of_items(["tea"]) for _ in range(5_000)])
        await wait_until(some_wait)
        assert await waiting() <= 2  # the crowd's reading, and a poll's
    assert {each.offer.sku_id for (each,) in await crowd} == {"1001"}


async def test_items_that_do_not_exist_leave_nothing_behind(market: Market, services: Services) -> None:
    await market.publish("tea", {"1001": 8_000})
    await services.shelf.of_items([f"none-{number}" for number in range(5_000)])
    await services.shelf.of_campaigns(range(5_000))
    assert (services.shelf._by_item, services.shelf._by_campaign, services.shelf._asked) == ({}, {}, {})


async def test_a_campaign_that_nobody_asks_for_is_forgotten_and_shown_again_when_somebody_does(
    market: Market, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "KNOWN_MANY", 1)  # so it does not take three seconds
    await market.publish("tea", {"1001": 8_000})

    async def forgotten() -> bool:
        return (services.shelf._asked, services.shelf._known) == ({}, {})

    for _ in range(2):
        assert await market.shown("tea") == [("tea", "1001", 8_000)]
        assert len(services.shelf._known) == 1
        await wait_until(forgotten)
