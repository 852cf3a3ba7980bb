"""Groups that wait for members: on the card, in the list, and joined by who found them there."""

from __future__ import annotations

from datetime import timedelta

from app.groups.ledger import GRACE
from app.groups.settle import settle_due
from tests.groups.conftest import PRICE_MINOR
from tests.showcase.conftest import Market
from tests.waiting import wait_until


async def test_groups_that_wait_are_listed_and_joined(market: Market) -> None:
    campaign = await market.publish("tea", {"1001": PRICE_MINOR})
    path = "/groupbuy/groups"
    asked = {"campaign_id": campaign["campaign_id"]}
    started = [await market.paid(buyer) for buyer in ("ann", "bo", "cy")]
    await market.order("dee", started[1])
    page = await market.get(path, limit="2", **asked)
    assert [each["group_id"] for each in page["items"]] == [started[2], started[1]]
    rest = await market.get(path, limit="2", cursor=page["next_cursor"], **asked)
    assert ([each["group_id"] for each in rest["items"]], rest["next_cursor"]) == ([started[0]], None)
    found = page["items"][1]
    group = await market.group(started[1])
    assert found == {
        "group_id": started[1],
        "slots": 3,
        "places_left": 1,
        "started_at": group["started_at"],
        "ends_at": group["ends_at"],
        "share_code": group["share_code"],
    }
    # A slot that is held, not paid, is taken: a full group waits for nobody.
    await market.order("eve", found["group_id"])
    page = await market.get(path, **asked)
    assert [each["group_id"] for each in page["items"]] == [started[2], started[0]]


async def test_a_card_shows_the_groups_that_want_fewest_members(market: Market) -> None:
    await market.publish("tea", {"1001": PRICE_MINOR})
    started = [await market.paid(buyer) for buyer in ("ann", "bo", "cy", "dee")]
    await market.order("eve", started[1])

    async def shown() -> bool:
        found = await market.call({}, "POST", "/groupbuy/campaigns/query", {"item_ids": ["tea"]})
        groups = [(each["group_id"], each["places_left"]) for each in found["items"][0]["groups"]]
        return groups == [(started[1], 1), (started[0], 2), (started[2], 2)]

    await wait_until(shown)


async def test_a_group_whose_time_is_over_is_not_shown(market: Market) -> None:
    campaign = await market.publish("tea", {"1001": PRICE_MINOR})
    await market.paid("ann")
    asked = {"campaign_id": campaign["campaign_id"]}
    assert len((await market.get("/groupbuy/groups", **asked))["items"]) == 1
    market.clock.advance(timedelta(seconds=3_600))
    assert (await market.get("/groupbuy/groups", **asked))["items"] == []
    whole = await market.get(f"/groupbuy/campaigns/{campaign['campaign_id']}")
    assert (whole["on_sale"], whole["groups"]) == (True, [])
    await market.paid("bo")
    assert len((await market.get("/groupbuy/groups", **asked))["items"]) == 1
    market.clock.advance(timedelta(hours=8))
    assert (await market.get("/groupbuy/groups", **asked))["items"] == []
    assert await settle_due(market.services, market.clock.now() + GRACE, 10) == 2


async def test_who_has_the_link_finds_the_groups_of_a_campaign_that_is_in_no_list(market: Market) -> None:
    campaign = await market.publish("tea", {"1001": PRICE_MINOR}, listed=False)
    group_id = await market.paid("ann")
    page = await market.get("/groupbuy/groups", campaign_id=campaign["campaign_id"])
    assert [each["group_id"] for each in page["items"]] == [group_id]
    assert await market.shown("tea") == []
