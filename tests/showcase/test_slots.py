"""The home page's places: put whole by operators, each change on record, shown as far as on sale."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from app.bootstrap import Services
from tests.showcase.conftest import Market, offered
from tests.waiting import wait_until


async def put(market: Market, *slots: dict[str, Any], status: int = 200, by: str = "ann") -> Any:
    return await market.call(market.login(by, "op"), "PUT", "/op/slots", {"slots": list(slots)}, status)


def slot(name: str, *campaigns: Any, **fields: Any) -> dict[str, Any]:
    return {"name": name, "campaign_ids": [each["campaign_id"] for each in campaigns], **fields}


async def home(market: Market) -> list[tuple[str, list[tuple[str, str, int]]]]:
    page = await market.get("/groupbuy/slots")
    return [(each["name"], [offered(one) for one in each["campaigns"]]) for each in page["slots"]]


async def test_places_show_their_campaigns_in_the_operators_order(market: Market) -> None:
    assert await home(market) == []
    tea = await market.publish("tea", {"1001": 8_000, "1002": 7_500})
    other_tea = await market.publish("tea", {"1001": 7_000})
    pot = await market.publish("pot", {"2001": 5_000}, shop_id="8")
    await put(market, slot("top", pot, tea), slot("below", other_tea))
    # Of each campaign its own cheapest: the operator has chosen it, not the item.
    assert await home(market) == [
        ("top", [("pot", "2001", 5_000), ("tea", "1002", 7_500)]),
        ("below", [("tea", "1001", 7_000)]),
    ]
    await put(market, slot("below", tea))
    assert await home(market) == [("below", [("tea", "1002", 7_500)])]


async def test_only_what_is_on_sale_now_is_shown(market: Market) -> None:
    gone = await market.publish("tea", {"1002": 7_000}, stock=1, stock_policy="each_member")
    tea = await market.publish("tea", {"1001": 8_000})
    draft = await market.draft("pot", {"2001": 5_000}, shop_id="8")
    await put(market, slot("top", gone, tea, draft), slot("drafts", draft))
    assert await home(market) == [("top", [("tea", "1002", 7_000), ("tea", "1001", 8_000)])]
    market.campaign = gone
    await market.order("ann", payable_minor=7_000)

    async def sold_out() -> bool:
        return await home(market) == [("top", [("tea", "1001", 8_000)])]

    await wait_until(sold_out)
    await market.act(draft, "publish")
    shown = [("pot", "2001", 5_000)]
    assert await home(market) == [("top", [("tea", "1001", 8_000), *shown]), ("drafts", shown)]
    await market.withdraw(tea)
    assert await home(market) == [("top", shown), ("drafts", shown)]


async def test_what_has_become_by_link_only_is_not_shown(market: Market) -> None:
    draft = await market.draft("tea", {"1001": 8_000})
    await put(market, slot("top", draft))
    # As if it had been sent back and changed.
    await market.services.pool.execute("UPDATE campaign SET listed = false")
    await market.act(draft, "publish")
    assert await home(market) == []


async def test_a_place_is_filled_within_its_window_only(market: Market) -> None:
    tea = await market.publish("tea", {"1001": 8_000})
    now = market.clock.now()
    noon, evening = (now + timedelta(hours=1)).isoformat(), (now + timedelta(hours=2)).isoformat()
    await put(market, slot("noon", tea, starts_at=noon, ends_at=evening), slot("always", tea))
    shown = [("tea", "1001", 8_000)]
    assert await home(market) == [("always", shown)]
    market.clock.advance(timedelta(hours=1))
    assert await home(market) == [("noon", shown), ("always", shown)]
    market.clock.advance(timedelta(hours=1))
    assert await home(market) == [("always", shown)]


async def test_every_change_is_on_record_and_a_repeat_is_none(market: Market) -> None:
    empty = await market.call(market.op, "GET", "/op/slots")
    assert empty == {"slots": [], "version": None, "changed_by": None, "changed_at": None}
    tea = await market.publish("tea", {"1001": 8_000})
    first = await put(market, slot("top", tea), by="ann")
    assert (first["slots"], first["changed_by"]) == (
        [{"name": "top", "campaign_ids": [tea["campaign_id"]], "starts_at": None, "ends_at": None}],
        "ann",
    )
    assert await put(market, slot("top", tea), by="bob") == first
    second = await put(market, by="bob")
    assert (second["slots"], second["changed_by"]) == ([], "bob")
    third = await put(market, slot("top", tea), by="ann")
    assert await market.call(market.op, "GET", "/op/slots") == third
    page = await market.call(market.op, "GET", "/op/slots/changes?limit=2")
    assert page["items"] == [third, second]
    rest = await market.call(market.op, "GET", f"/op/slots/changes?limit=2&cursor={page['next_cursor']}")
    assert rest == {"items": [first], "next_cursor": None}


async def test_another_process_shows_a_change_within_a_second(market: Market, other: Services) -> None:
    tea = await market.publish("tea", {"1001": 8_000})
    await put(market, slot("top", tea))

    async def seen() -> bool:
        return [each.name for each in other.shelf.campaigns.slots.slots] == ["top"]

    await wait_until(seen, 1.0)


async def test_what_cannot_be_shown_is_refused_and_changes_nothing(market: Market) -> None:
    tea = await market.publish("tea", {"1001": 8_000})
    hidden = await market.publish("tea", {"1002": 8_000}, listed=False)
    kept = await put(market, slot("top", tea))
    unknown = await put(market, slot("top", tea, {"campaign_id": "123"}), status=404)
    assert (unknown["code"], unknown["campaign_ids"]) == ("campaign_not_found", ["123"])
    refused = await put(market, slot("top", tea, hidden), status=422)
    assert (refused["code"], refused["campaign_ids"]) == ("campaign_not_listed", [hidden["campaign_id"]])
    later, now = "2027-01-02T00:00:00Z", "2027-01-01T00:00:00Z"
    for slots in (
        [slot("top", tea, tea)],
        [slot("top", tea), slot("top")],
        [slot("", tea)],
        [slot("x" * 65, tea)],
        [slot("top", {"campaign_id": "tea"})],
        [slot("top", tea, starts_at=later, ends_at=now)],
        [slot("top", tea, starts_at=now, ends_at=now)],
        [slot("top", tea, starts_at="2027-01-01T00:00:00")],
        [slot("top", tea, color="red")],
        [slot(f"slot-{number}") for number in range(21)],
        [{"name": "top", "campaign_ids": [str(number) for number in range(21)]}],
    ):
        assert (await put(market, *slots, status=400))["code"] == "invalid_request", slots
    for headers in (market.login("42"), market.merchant, market.login("billing", "service")):
        await market.call(headers, "PUT", "/op/slots", {"slots": []}, 403)
        await market.call(headers, "GET", "/op/slots", status=403)
        await market.call(headers, "GET", "/op/slots/changes", status=403)
    await market.call({}, "PUT", "/op/slots", {"slots": []}, 401)
    assert await market.call(market.op, "GET", "/op/slots") == kept
    changes = await market.call(market.op, "GET", "/op/slots/changes")
    assert changes["items"] == [kept]
