"""What is on sale by group buying: which offer is shown, to whom, and in which list."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.showcase.conftest import Market, offered
from tests.waiting import wait_until


async def test_of_several_campaigns_of_an_item_the_cheapest_sku_is_shown(market: Market) -> None:
    await market.publish("tea", {"1001": 8_000, "1002": 7_500})
    cheap = await market.publish("tea", {"1001": 7_000}, per_buyer_max=2, complete_from_bp=6_000)
    await market.publish("tea", {"1002": 7_001})
    entry = (await market.get("/groupbuy/campaigns", item_id="tea"))["items"][0]
    item = cheap["items"][0]
    assert entry == {
        "campaign_id": cheap["campaign_id"],
        "shop_id": "7",
        "item_id": "tea",
        "title": "Tea",
        "name": "With friends",
        "starts_at": cheap["starts_at"],
        "ends_at": cheap["ends_at"],
        "orders_to_succeed": 3,
        "group_open_s": 3600,
        "per_buyer_max": 2,
        "per_order_max": None,
        "groups_at_once_max": None,
        "stock_policy": "last_member",
        "complete_from_bp": 6_000,
        "offer": {
            "campaign_item_id": item["campaign_item_id"],
            "sku_id": "1001",
            "session": None,
            "ticket_category": None,
            "currency": "CNY",
            "sale_price_minor": 7_000,
            "normal_price_minor": 10_000,
            "quantity_left": 10,
        },
        "groups": [],
    }


async def test_what_is_sold_out_gives_way_to_the_next_cheapest_and_then_to_nothing(market: Market) -> None:
    await market.publish("tea", {"1002": 7_900}, stock=1, stock_policy="each_member")
    dearer = market.campaign
    await market.publish("tea", {"1001": 7_000}, stock=1, stock_policy="each_member")

    async def shows(*expected: tuple[str, str, int]) -> None:
        async def so() -> bool:
            return await market.shown("tea") == list(expected)

        await wait_until(so)

    await shows(("tea", "1001", 7_000))
    await market.order("ann", payable_minor=7_000)
    await shows(("tea", "1002", 7_900))
    market.campaign = dearer
    await market.order("bo", payable_minor=7_900)
    await shows()
    assert (await market.get("/groupbuy/campaigns", item_id="tea"))["items"] == []


async def test_at_one_price_the_older_campaign_is_shown_and_in_it_the_first_sku(market: Market) -> None:
    first = await market.publish("tea", {"1002": 7_000, "1001": 7_000})
    await market.publish("tea", {"1001": 7_000})
    assert await market.shown("tea") == [("tea", "1002", 7_000)]
    entry = (await market.get("/groupbuy/campaigns", item_id="tea"))["items"][0]
    assert entry["campaign_id"] == first["campaign_id"]


async def test_prices_in_the_shops_own_currency_come_before_others(market: Market) -> None:
    await market.publish("tea", {"1001": 50}, currency="USD")
    assert await market.shown("tea") == [("tea", "1001", 50)]
    entry = (await market.get("/groupbuy/campaigns", item_id="tea"))["items"][0]
    assert (entry["offer"]["currency"], entry["offer"]["normal_price_minor"]) == ("USD", None)
    await market.publish("tea", {"1002": 9_000})
    assert await market.shown("tea") == [("tea", "1002", 9_000)]


async def test_many_items_are_answered_in_the_order_asked_for_each_once(market: Market) -> None:
    await market.publish("tea", {"1001": 8_000})
    await market.publish("pot", {"2001": 5_000}, shop_id="8")
    assert await market.shown("pot", "none", "tea", "pot") == [("pot", "2001", 5_000), ("tea", "1001", 8_000)]


async def test_a_shops_items_come_in_pages(market: Market) -> None:
    for number in range(5):
        await market.put_item(f"cup-{number}", f"cup-{number}")
        await market.publish(f"cup-{number}", {f"cup-{number}": 3_000 + number})
    await market.publish("pot", {"2001": 5_000}, shop_id="8")
    await market.set_sale(await market.publish("tea", {"1001": 8_000}), "CLOSED")
    seen: list[Any] = []
    pages, cursor = 0, ""
    while pages == 0 or cursor:
        page = await market.get("/groupbuy/campaigns", shop_id="7", limit="2", cursor=cursor or "")
        seen += [offered(each) for each in page["items"]]
        cursor = page["next_cursor"]
        pages += 1
    assert seen == [(f"cup-{n}", f"cup-{n}", 3_000 + n) for n in range(5)]
    assert pages == 3
    everything = await market.get("/groupbuy/campaigns")
    assert [each["item_id"] for each in everything["items"]] == [*(f"cup-{n}" for n in range(5)), "pot"]
    assert (await market.get("/groupbuy/campaigns", item_id="pot", shop_id="7"))["items"] == []
    assert len((await market.get("/groupbuy/campaigns", item_id="pot", shop_id="8"))["items"]) == 1


async def test_what_is_by_link_only_is_in_no_list_and_shown_by_its_link(market: Market) -> None:
    hidden = await market.publish("tea", {"1001": 1_000, "1002": 900}, listed=False)
    assert await market.shown("tea") == []
    for filters in ({}, {"item_id": "tea"}, {"shop_id": "7"}):
        assert (await market.get("/groupbuy/campaigns", **filters))["items"] == []
    whole = await market.get(f"/groupbuy/campaigns/{hidden['campaign_id']}")
    assert [each["sku_id"] for each in whole["offers"]] == ["1002", "1001"]
    item = hidden["items"][0]["campaign_item_id"]
    assert (await market.get(f"/groupbuy/campaign_items/{item}"))["sale_price_minor"] == 1_000


async def test_a_campaign_is_shown_within_its_time_only(market: Market) -> None:
    starts_at = market.clock.now() + timedelta(hours=1)
    early = await market.publish("tea", {"1001": 7_000}, starts_at=starts_at.isoformat())
    path = f"/groupbuy/campaigns/{early['campaign_id']}"
    assert await market.shown("tea") == []
    assert (await market.get(path))["on_sale"] is False

    async def on_sale() -> bool:
        return await market.shown("tea") == [("tea", "1001", 7_000)]

    market.clock.advance(timedelta(hours=1))
    await wait_until(on_sale)
    assert (await market.get(path))["on_sale"] is True
    market.clock.advance(timedelta(hours=8))

    async def over() -> bool:
        return await market.shown("tea") == []

    await wait_until(over)  # before any worker has ended it


async def test_by_its_link_a_campaign_shows_all_it_offers_the_cheapest_first(market: Market) -> None:
    campaign = await market.publish(
        "tea", {"1001": 8_000, "1002": 7_000}, stock=1, stock_policy="each_member"
    )
    path = f"/groupbuy/campaigns/{campaign['campaign_id']}"
    offers = (await market.get(path))["offers"]
    assert [(each["sku_id"], each["quantity_left"]) for each in offers] == [("1002", 1), ("1001", 1)]
    await market.order("ann", payable_minor=8_000)

    async def sold_out() -> bool:
        offers = (await market.get(path))["offers"]
        return [(each["sku_id"], each["quantity_left"]) for each in offers] == [("1002", 1), ("1001", 0)]

    await wait_until(sold_out)
    await market.set_sale(campaign, "CLOSED", index=1)
    assert [each["sku_id"] for each in (await market.get(path))["offers"]] == ["1001"]
    await market.withdraw(campaign)
    assert (await market.get(path, 404))["code"] == "campaign_not_found"


async def test_what_the_catalog_no_longer_has_is_not_shown(market: Market) -> None:
    await market.publish("tea", {"1001": 7_000, "1002": 8_000})
    await market.put_item("tea", "1002")

    async def next_one() -> bool:
        return await market.shown("tea") == [("tea", "1002", 8_000)]

    await wait_until(next_one)


async def test_the_settlement_price_is_for_those_who_settle(market: Market) -> None:
    campaign = await market.publish("tea", {"1001": 8_000})
    path = f"/groupbuy/campaign_items/{campaign['items'][0]['campaign_item_id']}"
    public = await market.get(path)
    assert public == {
        "campaign_item_id": campaign["items"][0]["campaign_item_id"],
        "campaign_id": campaign["campaign_id"],
        "shop_id": "7",
        "item_id": "tea",
        "sku_id": "1001",
        "session": None,
        "ticket_category": None,
        "currency": "CNY",
        "sale_price_minor": 8_000,
        "quantity_left": 10,
        "on_sale": True,
        "starts_at": campaign["starts_at"],
        "ends_at": campaign["ends_at"],
    }
    settles = [market.op, market.merchant, market.login("billing", "service")]
    for headers in settles:
        assert await market.call(headers, "GET", path) == public | {"settlement_price_minor": 7_999}
    for headers in (market.login("42"), market.login("lu", "merchant", shop_id="8")):
        assert await market.call(headers, "GET", path) == public


async def test_a_campaign_item_is_public_from_its_publishing_on_also_when_it_is_over(market: Market) -> None:
    draft = await market.draft("tea", {"1001": 8_000})
    path = f"/groupbuy/campaign_items/{draft['items'][0]['campaign_item_id']}"
    assert (await market.get(path, 404))["code"] == "campaign_item_not_found"
    own = await market.call(market.merchant, "GET", path)
    assert (own["settlement_price_minor"], own["quantity_left"], own["on_sale"]) == (7_999, 0, False)
    await market.call(market.login("lu", "merchant", shop_id="8"), "GET", path, status=404)
    await market.act(draft, "publish")
    assert (await market.get(path))["on_sale"] is True
    await market.withdraw(draft)
    over = await market.get(path)
    assert (over["quantity_left"], over["on_sale"]) == (0, False)
    service = await market.call(market.login("billing", "service"), "GET", path)
    assert service["settlement_price_minor"] == 7_999


async def test_a_slash_at_the_end_of_a_path_changes_nothing(market: Market) -> None:
    await market.publish("tea", {"1001": 8_000})
    listed = await market.get("/groupbuy/campaigns", item_id="tea")
    assert await market.get("/groupbuy/campaigns/", item_id="tea") == listed
    asked = await market.call({}, "POST", "/groupbuy/campaigns/query/", {"item_ids": ["tea"]})
    assert asked["items"] == listed["items"]
    assert (await market.call({}, "POST", "/groupbuy/campaigns", status=405))["code"] == "method_not_allowed"


async def test_bad_input_is_refused(market: Market) -> None:
    for body in (
        {},
        {"item_ids": []},
        {"item_ids": [""]},
        {"item_ids": ["a\u0000"]},
        {"item_ids": [7]},
        {"item_ids": ["tea"] * 51},
        {"item_ids": ["tea"], "shop_id": "7"},
    ):
        refused = await market.call({}, "POST", "/groupbuy/campaigns/query", body, 400)
        assert refused["code"] == "invalid_request", body
    for path, params in (
        ("/groupbuy/campaigns", {"limit": "0"}),
        ("/groupbuy/campaigns", {"limit": "201"}),
        ("/groupbuy/campaigns", {"item_id": "x" * 65}),
        ("/groupbuy/campaigns/tea", {}),
        ("/groupbuy/campaign_items/99999999999999999999", {}),
        ("/groupbuy/groups", {}),
        ("/groupbuy/groups", {"campaign_id": "tea"}),
        ("/groupbuy/groups", {"campaign_id": "1", "cursor": "x"}),
    ):
        assert (await market.get(path, 400, **params))["code"] == "invalid_request", (path, params)
    assert (await market.get("/groupbuy/campaigns/123", 404))["code"] == "campaign_not_found"
    assert (await market.get("/groupbuy/groups", 404, campaign_id="123"))["code"] == "campaign_not_found"
    assert (await market.get("/groupbuy/campaign_items/123", 404))["code"] == "campaign_item_not_found"
    forged = {"authorization": "Bearer forged"}
    await market.call(forged, "GET", "/groupbuy/campaigns", status=401)
    await market.call(forged, "POST", "/groupbuy/campaigns/query", {"item_ids": ["tea"]}, 401)
