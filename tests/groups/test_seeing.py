"""A group as everyone may see it, and a buyer's own group orders."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.groups.read import SHOWN_MEMBERS_MAX, masked
from app.groups.settle import settle_due
from tests.groups.conftest import PRICE_MINOR, Shop


async def test_a_group_says_how_it_stands_until_when_what_it_sells_and_for_how_much(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("annabel")
    await shop.order("bo", group_id)
    group = await shop.group(group_id)
    assert (group["status"], group["slots"], group["members"], group["members_paid"]) == ("OPEN", 3, 2, 1)
    assert (group["shop_name"], group["title"], group["name"]) == ("Tea", "Tea", "Tea with friends")
    assert group["share_url"] == f"http://127.0.0.1:8000/g/{group['share_code']}"
    now, ends_at = datetime.fromisoformat(group["now"]), datetime.fromisoformat(group["ends_at"])
    assert timedelta(minutes=59) < ends_at - now <= timedelta(hours=1)
    assert group["items"] == [
        {
            "campaign_item_id": shop.campaign["items"][0]["campaign_item_id"],
            "sku_id": "1001",
            "attributes": {},
            "session": None,
            "ticket_category": None,
            "currency": "CNY",
            "sale_price_minor": PRICE_MINOR,
            "single_price_minor": 10_000,
            "sell_status": "OPEN",
        }
    ]


async def test_members_are_shown_without_what_is_theirs(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("annabel")
    await shop.order("bo", group_id)
    answer = await shop.client.get(f"/groupbuy/groups/{group_id}")
    assert answer.json()["shown_members"] == [
        {"slot": 1, "name": "a***l", "paid": True},
        {"slot": 2, "name": "***", "paid": False},
    ]
    assert "annabel" not in answer.text
    assert "settlement" not in answer.text
    assert [masked(each) for each in ("4", "420", "4207", "guest-17")] == ["***", "***", "4***7", "g***7"]


async def test_of_a_large_group_the_first_members_are_shown_and_all_are_counted(shop: Shop) -> None:
    await shop.open(orders_to_succeed=SHOWN_MEMBERS_MAX + 5)
    group_id = await shop.paid("buyer-0")
    for number in range(SHOWN_MEMBERS_MAX + 2):
        await shop.order(f"joins-{number}", group_id)
    group = await shop.group(group_id)
    assert group["members"] == SHOWN_MEMBERS_MAX + 3
    assert [member["slot"] for member in group["shown_members"]] == list(range(1, SHOWN_MEMBERS_MAX + 1))


async def test_what_is_not_sold_now_is_marked_as_such(shop: Shop) -> None:
    await shop.open(skus=("1001", "1002"))
    group_id = await shop.paid("ann")
    path = f"/merchant/campaign_items/{shop.campaign['items'][0]['campaign_item_id']}/sell_status"
    await shop.call(shop.merchant, "PUT", path, {"sell_status": "CLOSED"})
    items = (await shop.group(group_id))["items"]
    assert [(item["sku_id"], item["sell_status"]) for item in items] == [("1001", "CLOSED"), ("1002", "OPEN")]


async def test_my_group_orders_say_how_their_groups_stand(shop: Shop) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    await shop.paid("bo", group_id)
    waiting = (await shop.order("ann"))["order_id"]
    mine = await shop.call(shop.login("ann"), "GET", f"/groupbuy/orders/{group_id}")
    assert (mine["status"], mine["group_slots"], mine["group_members_paid"]) == ("PAID", 3, 2)
    assert mine["share_url"] == (await shop.group(group_id))["share_url"]
    new = await shop.call(shop.login("ann"), "GET", f"/groupbuy/orders/{waiting}")
    assert (new["group_id"], new["group_slots"], new["share_url"]) == (None, None, None)


async def test_my_group_orders_can_be_asked_for_by_state(shop: Shop) -> None:
    await shop.open()
    failed = await shop.paid("ann")
    shop.clock.advance(timedelta(seconds=3_616))
    await settle_due(shop.services, shop.clock.now(), 10)
    unpaid = (await shop.order("ann"))["order_id"]
    for status, expected in (("REFUNDING", [failed]), ("UNPAID", [unpaid]), ("SUCCEEDED", [])):
        page = await shop.call(shop.login("ann"), "GET", f"/groupbuy/orders?status={status}")
        assert [each["order_id"] for each in page["items"]] == expected
    refused = await shop.call(shop.login("ann"), "GET", "/groupbuy/orders?status=LOST", status=400)
    assert refused["code"] == "invalid_request"
