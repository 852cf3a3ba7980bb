"""A campaign from draft to end over HTTP: who may do what, when, and what is on record of it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.campaigns.end import end_due
from app.campaigns.publish import publish_due
from app.lib.clock import OffsetClock
from tests.auditing import assert_audit_clean
from tests.conftest import Login

Headers = dict[str, str]


@pytest.fixture
async def op(client: httpx.AsyncClient, login: Login) -> Headers:
    """An operator; the shop 7 has 100 of the SKU 1001 and 5 of 1002, both of the item tea."""
    headers = login("ann", "op")
    for shop_id in ("7", "8"):
        await client.put(f"/admin/shops/{shop_id}", json={"name": "Tea", "currency": "CNY"}, headers=headers)
    skus = [{"sku_id": sku_id, "prices": {"CNY": {"price_minor": 10000}}} for sku_id in ("1001", "1002")]
    for item_id, shop_id, its_skus in (("tea", "7", skus), ("pot", "8", [{**skus[0], "sku_id": "2001"}])):
        item = {"shop_id": shop_id, "title": "Tea", "skus": its_skus}
        assert (await client.put(f"/admin/items/{item_id}", json=item, headers=headers)).status_code == 200
    for sku_id, on_hand in (("1001", 100), ("1002", 5)):
        await client.put(f"/admin/skus/{sku_id}/stock", json={"on_hand": on_hand}, headers=headers)
    return headers


@pytest.fixture
def merchant(login: Login) -> Headers:
    return login("mei", "merchant", shop_id="7")


def document(clock: OffsetClock, *items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    now = clock.now()
    return {
        "item_id": "tea",
        "name": "Tea with friends",
        "starts_at": (now + timedelta(hours=1)).isoformat(),
        "ends_at": (now + timedelta(hours=9)).isoformat(),
        "orders_to_succeed": 3,
        "group_open_s": 3600,
        "items": list(items) or [sells("1001"), sells("1002", 5)],
        **fields,
    }


def sells(sku_id: str, total_stock: int = 60, **fields: Any) -> dict[str, Any]:
    prices = {"currency": "CNY", "sale_price_minor": 8000, "settlement_price_minor": 7000}
    return {"sku_id": sku_id, "total_stock": total_stock, **prices, **fields}


async def call(
    client: httpx.AsyncClient, headers: Headers, method: str, path: str, body: Any = None, status: int = 200
) -> Any:
    answer = await client.request(method, path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def created(client: httpx.AsyncClient, merchant: Headers, body: dict[str, Any]) -> dict[str, Any]:
    campaign: dict[str, Any] = await call(client, merchant, "POST", "/merchant/campaigns", body, 201)
    return campaign


async def passed(
    client: httpx.AsyncClient, merchant: Headers, op: Headers, body: dict[str, Any]
) -> dict[str, Any]:
    """Submitted, and all of it has passed."""
    campaign = await created(client, merchant, body)
    path = campaign["campaign_id"]
    await call(client, merchant, "POST", f"/merchant/campaigns/{path}/submit")
    result: dict[str, Any] = await call(
        client, op, "POST", f"/op/campaigns/{path}/review", {"all": {"passed": True}}
    )
    return result


async def pools(services: Services) -> dict[tuple[str, str], tuple[int, bool]]:
    """(SKU, activity) -> (on hand, closed)."""
    rows = await services.pool.fetch("SELECT * FROM stock_pool")
    return {(row["sku_id"], row["activity_id"]): (row["on_hand"], row["closed"]) for row in rows}


def item_of(campaign: dict[str, Any], sku_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in campaign["items"] if item["sku_id"] == sku_id)
    return found


async def test_from_draft_over_review_to_sale_with_everything_on_record(
    client: httpx.AsyncClient, services: Services, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    draft = await created(client, merchant, document(clock))
    path = draft["campaign_id"]
    assert (draft["status"], draft["shop_id"]) == ("DRAFT", "7")
    await call(client, merchant, "POST", f"/merchant/campaigns/{path}/submit")
    first, second = (item["campaign_item_id"] for item in draft["items"])
    decisions = [
        {"campaign_item_id": first, "passed": True},
        {"campaign_item_id": second, "passed": False, "reason": "too dear"},
    ]
    sent_back = await call(client, op, "POST", f"/op/campaigns/{path}/review", {"decisions": decisions})
    assert sent_back["status"] == "REJECTED"
    assert [(item["audit"], item["refuse_reason"]) for item in sent_back["items"]] == [
        ("PASSED", None),
        ("REFUSED", "too dear"),
    ]
    cheaper = document(clock, sells("1001"), sells("1002", 5, sale_price_minor=7500))
    changed = await call(client, merchant, "PUT", f"/merchant/campaigns/{path}", cheaper)
    assert [item["audit"] for item in changed["items"]] == ["PASSED", "PENDING"]
    await call(client, merchant, "POST", f"/merchant/campaigns/{path}/submit")
    await call(client, op, "POST", f"/op/campaigns/{path}/review", {"all": {"passed": True}})
    on_sale = await call(client, op, "POST", f"/op/campaigns/{path}/publish")
    assert on_sale["status"] == "PUBLISHED"
    assert [(item["sell_status"], item["on_hand"]) for item in on_sale["items"]] == [
        ("OPEN", 60),
        ("OPEN", 5),
    ]
    activity = f"campaign:{path}"
    assert await pools(services) == {
        ("1001", "0"): (40, False),
        ("1002", "0"): (0, False),
        ("1001", activity): (60, False),
        ("1002", activity): (5, False),
    } | {("2001", "0"): (0, False)}
    shown = await call(client, merchant, "GET", f"/merchant/campaigns/{path}")
    assert [
        (each["action"], each["reason"], each["by_role"], each["by_id"]) for each in shown["decisions"]
    ] == [
        ("created", None, "merchant", "mei"),
        ("submitted", None, "merchant", "mei"),
        ("passed", None, "op", "ann"),
        ("refused", "too dear", "op", "ann"),
        ("changed", None, "merchant", "mei"),
        ("submitted", None, "merchant", "mei"),
        ("passed", None, "op", "ann"),
        ("published", None, "op", "ann"),
    ]
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_what_has_passed_keeps_its_prices_and_what_is_under_review_stands_still(
    client: httpx.AsyncClient, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    draft = await created(client, merchant, document(clock))
    path = draft["campaign_id"]
    await call(client, merchant, "POST", f"/merchant/campaigns/{path}/submit")
    while_submitted = await call(client, merchant, "PUT", f"/merchant/campaigns/{path}", document(clock), 409)
    assert (while_submitted["status"], while_submitted["campaign_status"]) == (409, "SUBMITTED")
    decisions = [
        {"campaign_item_id": item_of(draft, "1001")["campaign_item_id"], "passed": True},
        {"campaign_item_id": item_of(draft, "1002")["campaign_item_id"], "passed": False, "reason": "no"},
    ]
    await call(client, op, "POST", f"/op/campaigns/{path}/review", {"decisions": decisions})
    for items in (
        [sells("1001", sale_price_minor=1)],
        [sells("1001", settlement_price_minor=1)],
        [sells("1002")],
    ):
        frozen = await call(
            client, merchant, "PUT", f"/merchant/campaigns/{path}", document(clock, *items), 409
        )
        assert (frozen["code"], frozen["sku_ids"]) == ("prices_frozen", ["1001"])
    again = await call(client, op, "GET", f"/op/campaigns/{path}")
    assert [(item["sku_id"], item["audit"]) for item in again["items"]] == [
        ("1001", "PASSED"),
        ("1002", "REFUSED"),
    ]
    still_refused = await call(client, merchant, "POST", f"/merchant/campaigns/{path}/submit", status=409)
    assert still_refused["code"] == "campaign_status"


async def test_stock_changes_only_while_the_sale_is_closed(
    client: httpx.AsyncClient, services: Services, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    campaign = await passed(client, merchant, op, document(clock))
    path = campaign["campaign_id"]
    await call(client, op, "POST", f"/op/campaigns/{path}/publish")
    item = f"/merchant/campaign_items/{item_of(campaign, '1001')['campaign_item_id']}"
    assert (await call(client, merchant, "PUT", f"{item}/stock", {"total_stock": 70}, 409))[
        "code"
    ] == "sale_open"
    await call(client, merchant, "PUT", f"{item}/sell_status", {"sell_status": "CLOSED"})
    assert (await pools(services))["1001", f"campaign:{path}"] == (60, True)
    too_many = await call(client, merchant, "PUT", f"{item}/stock", {"total_stock": 101}, 409)
    assert (too_many["code"], too_many["sku_ids"]) == ("out_of_stock", ["1001"])
    more = await call(client, merchant, "PUT", f"{item}/stock", {"total_stock": 100})
    assert item_of(more, "1001")["total_stock"] == 100
    await call(client, merchant, "PUT", f"{item}/sell_status", {"sell_status": "OPEN"})
    await call(client, merchant, "PUT", f"{item}/sell_status", {"sell_status": "OPEN"})  # changes nothing
    after = await pools(services)
    assert (after["1001", f"campaign:{path}"], after["1001", "0"]) == ((100, False), (0, False))
    shown = await call(client, op, "GET", f"/op/campaigns/{path}")
    assert [each["action"] for each in shown["decisions"]][-4:] == [
        "published",
        "sale_closed",
        "stock_set",
        "sale_opened",
    ]


async def test_a_campaign_that_has_passed_is_published_when_its_start_comes_and_ends_in_time(
    client: httpx.AsyncClient, services: Services, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    path = (await passed(client, merchant, op, document(clock)))["campaign_id"]
    half = await created(client, merchant, document(clock, sells("1001", 1)))
    await call(client, merchant, "POST", f"/merchant/campaigns/{half['campaign_id']}/submit")
    assert await publish_due(services, clock.now(), 10) == 0
    clock.advance(timedelta(hours=1))
    assert await publish_due(services, clock.now(), 10) == 1
    assert (await call(client, op, "GET", f"/op/campaigns/{path}"))["status"] == "PUBLISHED"
    assert await publish_due(services, clock.now(), 10) == 0
    clock.advance(timedelta(hours=8))
    assert await end_due(services, clock.now(), 10) == 1  # what nobody has reviewed
    clock.advance(timedelta(seconds=15))  # until when a group that ends with it is settled
    assert await end_due(services, clock.now(), 10) == 1
    ended = await call(client, op, "GET", f"/op/campaigns/{path}")
    assert ended["status"] == "ENDED"
    assert [(each["action"], each["by_role"]) for each in ended["decisions"]][-2:] == [
        ("published", "clock"),
        ("ended", "clock"),
    ]
    assert (await pools(services))["1001", "0"] == (100, False)
    assert (await pools(services))["1001", f"campaign:{path}"] == (0, True)
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_without_stock_it_is_not_published_and_says_so_once_a_minute(
    client: httpx.AsyncClient, services: Services, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    path = (await passed(client, merchant, op, document(clock, sells("1001", 101))))["campaign_id"]
    before = await pools(services)
    refused = await call(client, op, "POST", f"/op/campaigns/{path}/publish", status=409)
    assert (refused["code"], refused["sku_ids"]) == ("out_of_stock", ["1001"])
    clock.advance(timedelta(hours=1))
    assert await publish_due(services, clock.now(), 10) == 1
    assert await publish_due(services, clock.now(), 10) == 0
    assert await pools(services) == before
    shown = await call(client, op, "GET", f"/op/campaigns/{path}")
    last = shown["decisions"][-1]
    assert (shown["status"], last["action"], last["reason"]) == ("SUBMITTED", "not_published", "out_of_stock")
    await client.put("/admin/skus/1001/stock", json={"on_hand": 101}, headers=op)
    clock.advance(timedelta(minutes=2))
    assert await publish_due(services, clock.now(), 10) == 1
    assert (await call(client, op, "GET", f"/op/campaigns/{path}"))["status"] == "PUBLISHED"


async def refuse(services: Services, campaign_id: str, status: str) -> None:
    """The ledger does not take this campaign's new status."""
    await services.pool.execute(
        "ALTER TABLE campaign ADD CONSTRAINT refused"
        f" CHECK (campaign_id <> {campaign_id} OR status <> '{status}') NOT VALID"
    )


async def test_a_campaign_that_cannot_be_published_holds_up_no_other_and_says_so_once_a_minute(
    client: httpx.AsyncClient, services: Services, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    sooner = (clock.now() + timedelta(minutes=30)).isoformat()
    wrong = await passed(client, merchant, op, document(clock, sells("1001"), starts_at=sooner))
    right = await passed(client, merchant, op, document(clock, sells("1002", 5)))
    await refuse(services, wrong["campaign_id"], "PUBLISHED")
    clock.advance(timedelta(hours=1))
    assert await publish_due(services, clock.now(), 10) == 1
    assert await publish_due(services, clock.now(), 10) == 0
    assert (await call(client, op, "GET", f"/op/campaigns/{right['campaign_id']}"))["status"] == "PUBLISHED"
    shown = await call(client, op, "GET", f"/op/campaigns/{wrong['campaign_id']}")
    last = shown["decisions"][-1]
    assert (shown["status"], last["action"], last["reason"]) == (
        "SUBMITTED",
        "not_published",
        "internal_error",
    )
    assert (await pools(services))["1001", "0"] == (100, False)


async def test_a_campaign_that_cannot_be_ended_holds_up_no_other(
    client: httpx.AsyncClient, services: Services, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    sooner = (clock.now() + timedelta(hours=8)).isoformat()
    wrong = await passed(client, merchant, op, document(clock, sells("1001"), ends_at=sooner))
    right = await passed(client, merchant, op, document(clock, sells("1002", 5)))
    for each in (wrong, right):
        await call(client, op, "POST", f"/op/campaigns/{each['campaign_id']}/publish")
    await refuse(services, wrong["campaign_id"], "ENDED")
    clock.advance(timedelta(hours=10))
    assert await end_due(services, clock.now(), 10) == 1
    assert (await call(client, op, "GET", f"/op/campaigns/{right['campaign_id']}"))["status"] == "ENDED"
    assert (await call(client, op, "GET", f"/op/campaigns/{wrong['campaign_id']}"))["status"] == "PUBLISHED"
    found = await pools(services)
    assert (found["1002", "0"], found["1001", "0"]) == ((5, False), (40, False))


async def test_withdrawn_once_its_stock_goes_back_whoever_is_first(
    client: httpx.AsyncClient, services: Services, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    path = (await passed(client, merchant, op, document(clock)))["campaign_id"]
    await call(client, op, "POST", f"/op/campaigns/{path}/publish")
    withdraw = [
        client.post(f"/op/campaigns/{path}/withdraw", json={"reason": "fake goods"}, headers=op)
        for _ in range(5)
    ]
    answers = await asyncio.gather(*withdraw)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert (await pools(services))["1001", "0"] == (100, False)
    shown = await call(client, merchant, "GET", f"/merchant/campaigns/{path}")
    assert (shown["status"], shown["decisions"][-1]["reason"]) == ("ENDED", "fake goods")
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_five_operators_publish_at_once_and_its_stock_is_set_aside_once(
    client: httpx.AsyncClient, services: Services, op: Headers, merchant: Headers, clock: OffsetClock
) -> None:
    path = (await passed(client, merchant, op, document(clock)))["campaign_id"]
    publish = [client.post(f"/op/campaigns/{path}/publish", headers=op) for _ in range(5)]
    answers = await asyncio.gather(*publish)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert (await pools(services))["1001", "0"] == (40, False)


async def test_merchants_see_and_change_their_own_shops_campaigns_only(
    client: httpx.AsyncClient, op: Headers, merchant: Headers, login: Login, clock: OffsetClock
) -> None:
    draft = await created(client, merchant, document(clock))
    other = login("bo", "merchant", shop_id="8")
    path = f"/merchant/campaigns/{draft['campaign_id']}"
    item = f"/merchant/campaign_items/{draft['items'][0]['campaign_item_id']}/stock"
    for method, call_path, body in (
        ("GET", path, None),
        ("PUT", path, document(clock, sells("2001"), item_id="pot")),
        ("POST", f"{path}/submit", None),
        ("PUT", item, {"total_stock": 1}),
    ):
        await call(client, other, method, call_path, body, 404)
    await call(client, other, "POST", "/merchant/campaigns", document(clock), 403)
    await call(client, merchant, "POST", f"/op/campaigns/{draft['campaign_id']}/publish", status=403)
    assert (await call(client, other, "GET", "/merchant/campaigns"))["items"] == []
    theirs = await created(client, other, document(clock, sells("2001", 0), item_id="pot"))
    listed = await call(client, op, "GET", "/op/campaigns?limit=1")
    assert [each["campaign_id"] for each in listed["items"]] == [theirs["campaign_id"]]
    rest = await call(client, op, "GET", f"/op/campaigns?limit=1&cursor={listed['next_cursor']}")
    assert [each["campaign_id"] for each in rest["items"]] == [draft["campaign_id"]]
    assert rest["next_cursor"] is None
    assert (await call(client, op, "GET", "/op/campaigns?status=PUBLISHED"))["items"] == []
    await call(client, op, "GET", "/op/campaigns?cursor=x", status=400)


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"items": []}, 400, "invalid_request"),
        ({"items": [sells("1001"), sells("1001")]}, 400, "invalid_request"),
        ({"orders_to_succeed": 1}, 400, "invalid_request"),
        ({"group_open_s": 1}, 400, "invalid_request"),
        ({"ends_at": "2020-01-01T00:00:00Z"}, 400, "invalid_request"),
        (
            {"starts_at": "2020-01-01T00:00:00Z", "ends_at": "2020-01-02T00:00:00Z"},
            422,
            "window_over",
        ),
        ({"items": [sells("2001")]}, 422, "sku_of_other_item"),
        ({"item_id": "nothing"}, 404, "item_not_found"),
        ({"colour": "red"}, 400, "invalid_request"),
    ],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(
    client: httpx.AsyncClient,
    services: Services,
    op: Headers,
    merchant: Headers,
    clock: OffsetClock,
    fields: dict[str, Any],
    status: int,
    code: str,
) -> None:
    refused = await call(client, merchant, "POST", "/merchant/campaigns", document(clock) | fields, status)
    assert refused["code"] == code
    assert await services.pool.fetchval("SELECT count(*) FROM campaign") == 0
