"""Coupons over HTTP: templates, grants, codes, and what buyers see of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from tests.conftest import Login
from tests.coupons.calls import TEMPLATE, cal_price, grant, granted, put_shop, put_template, redeem


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await put_shop(client, op)


async def coupon_count(services: Services) -> int:
    count: int = await services.pool.fetchval("SELECT count(*) FROM coupon")
    return count


async def test_a_grant_repeated_with_its_key_gives_the_same_coupons(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await put_template(client, op, "t")
    first = await grant(client, op, "t", "42", "43")
    again = await grant(client, op, "t", "42", "43")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert [each["user_id"] for each in first.json()["coupons"]] == ["42", "43"]
    other = await grant(client, op, "t", "44")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert await coupon_count(services) == 2


async def test_a_grant_gives_all_or_none(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await put_template(client, op, "t", quantity_total=3, per_buyer_max=1)
    await grant(client, op, "t", "42", key="1")
    twice = await grant(client, op, "t", "42", "43", key="2")
    assert (twice.status_code, twice.json()["code"]) == (409, "per_buyer_max_reached")
    assert twice.json()["user_ids"] == ["42"]
    many = await grant(client, op, "t", "44", "45", "46", key="3")
    assert (many.status_code, many.json()["code"], many.json()["left"]) == (409, "coupons_exhausted", 2)
    assert await coupon_count(services) == 1
    claims = await services.pool.fetch("SELECT buyer_id, quantity FROM coupon_claim")
    assert [tuple(row) for row in claims] == [("42", 1)]
    assert await services.pool.fetchval("SELECT granted_count FROM coupon_template") == 1
    assert (await grant(client, op, "t", "44", "45", key="4")).status_code == 200


async def test_a_grant_is_refused_without_a_key_a_template_a_right_or_a_distinct_buyer(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    url = "/admin/coupon_templates/t/grants"
    keyless = await client.post(url, json={"user_ids": ["42"]}, headers=op)
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_missing")
    unknown = await grant(client, op, "unknown", "42")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "template_not_found")
    assert (await grant(client, login("m", "merchant", "7"), "t", "42")).status_code == 403
    assert (await grant(client, login(), "t", "42")).status_code == 403
    assert (await grant(client, op, "t", "42", "42")).status_code == 400
    assert await coupon_count(services) == 0


async def test_a_shared_code_gives_each_buyer_a_coupon_up_to_the_limits(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", code="TEA", quantity_total=2, per_buyer_max=1)
    first = await redeem(client, login(), "TEA")
    assert first.status_code == 200
    coupon = first.json()
    assert (coupon["template_id"], coupon["name"], coupon["status"]) == ("t", "10 off", "available")
    assert (await redeem(client, login(), "TEA")).json() == coupon
    again = await redeem(client, login(), "TEA", key="another")
    assert (again.status_code, again.json()["code"]) == (409, "per_buyer_max_reached")
    assert (await redeem(client, login("43"), "TEA")).status_code == 200
    late = await redeem(client, login("44"), "TEA")
    assert (late.status_code, late.json()["code"]) == (409, "coupons_exhausted")
    assert await coupon_count(services) == 2
    summary = await cal_price(client, login(), coupon_ids=[coupon["coupon_id"]])
    assert summary["coupon_discount_minor"] == 1000


async def test_a_redeemed_coupon_can_be_used_at_once_by_a_buyer_who_had_none(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", code="TEA")
    await cal_price(client, login(), auto_coupons=True)  # caches that there are none
    await redeem(client, login(), "TEA")
    assert (await cal_price(client, login(), auto_coupons=True))["coupon_discount_minor"] == 1000


async def test_a_one_time_code_is_redeemed_once_however_many_try_at_once(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", codes_count=2)
    codes = (await client.get("/admin/coupon_templates/t/codes", headers=op)).json()["items"]
    assert [each["redeemed"] for each in codes] == [False, False]
    code = codes[0]["code"]
    assert len(code) == 16
    answers = await asyncio.gather(*(redeem(client, login(str(buyer)), code) for buyer in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"code_used"}
    assert await coupon_count(services) == 1
    codes = (await client.get("/admin/coupon_templates/t/codes", headers=op)).json()["items"]
    assert [each["redeemed"] for each in codes] == [True, False]


async def test_a_template_gives_no_more_than_its_total_however_many_redeem_at_once(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", code="TEA", quantity_total=7, per_buyer_max=1)
    answers = await asyncio.gather(*(redeem(client, login(str(buyer)), "TEA") for buyer in range(30)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [409] * 23
    assert await coupon_count(services) == 7
    assert await services.pool.fetchval("SELECT granted_count FROM coupon_template") == 7


async def test_the_same_key_at_the_same_moment_gives_one_coupon(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", code="TEA")
    answers = await asyncio.gather(*(redeem(client, login(), "TEA") for _ in range(5)))
    assert len({answer.json()["coupon_id"] for answer in answers}) == 1
    assert await coupon_count(services) == 1


async def test_an_unknown_or_ended_code_gives_nothing(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    unknown = await redeem(client, login(), "NOTHING")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "code_not_found")
    await put_template(client, op, "t", code="TEA", valid_days=None, valid_to="2021-01-01T00:00:00Z")
    ended = await redeem(client, login(), "TEA")
    assert (ended.status_code, ended.json()["code"]) == (409, "coupons_ended")
    keyless = await client.post("/coupon/redeem", json={"code": "TEA"}, headers=login())
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_missing")
    assert await coupon_count(services) == 0


async def test_a_coupon_expires_and_says_so(
    client: httpx.AsyncClient, op: dict[str, str], login: Login, clock: OffsetClock
) -> None:
    await put_template(client, op, "t")
    coupon_id = await granted(client, op, "t")
    clock.advance(timedelta(days=7, seconds=1))
    summary = await cal_price(client, login(), coupon_ids=[coupon_id])
    assert [(each["rule_id"], each["code"]) for each in summary["rejected"]] == [(coupon_id, "expired")]
    listed = (await client.get("/shopping/coupons", headers=login())).json()["items"]
    assert [(each["coupon_id"], each["status"]) for each in listed] == [(coupon_id, "expired")]


@pytest.mark.parametrize(
    ("change", "valid_to"),
    [
        ({"valid_to": "2100-01-01T00:00:00Z"}, "2100-01-01T00:00:00Z"),
        ({"valid_from": "2099-01-01T00:00:00Z", "valid_days": 3}, "2099-01-04T00:00:00Z"),
        ({}, "9999-12-31T00:00:00Z"),
    ],
)
async def test_a_coupon_ends_when_its_template_says(
    client: httpx.AsyncClient, op: dict[str, str], login: Login, change: dict[str, Any], valid_to: str
) -> None:
    await put_template(client, op, "t", **{"valid_days": None, "code": "TEA"} | change)
    coupon = (await redeem(client, login(), "TEA")).json()
    assert coupon["valid_to"] == valid_to
    summary = await cal_price(client, login(), coupon_ids=[coupon["coupon_id"]])
    rejected = [(each["rule_id"], each["code"]) for each in summary["rejected"]]
    assert rejected == ([(coupon["coupon_id"], "not_started")] if "valid_from" in change else [])


async def test_a_buyers_coupons_are_listed_in_pages_the_newest_first(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    ids = []
    for number in range(3):
        answer = await grant(client, op, "t", "42", key=str(number))
        ids.append(answer.json()["coupons"][0]["coupon_id"])
    page = (await client.get("/shopping/coupons?limit=2", headers=login())).json()
    assert [each["coupon_id"] for each in page["items"]] == [ids[2], ids[1]]
    rest = (await client.get(f"/shopping/coupons?cursor={page['next_cursor']}", headers=login())).json()
    assert ([each["coupon_id"] for each in rest["items"]], rest["next_cursor"]) == ([ids[0]], None)
    assert (await client.get("/shopping/coupons", headers=login("43"))).json()["items"] == []
    assert (await client.get("/shopping/coupons?cursor=x", headers=login())).status_code == 400


async def test_a_template_reads_back_and_its_change_holds_for_coupons_already_given(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t")
    coupon_id = await granted(client, op, "t")
    await put_template(client, op, "t", effect={"kind": "amount_off", "amount_minor": 2500})
    assert (await cal_price(client, login(), coupon_ids=[coupon_id]))["payable_minor"] == 17_500
    shown = (await client.get("/admin/coupon_templates/t", headers=op)).json()
    assert (shown["template_id"], shown["granted_count"], shown["valid_days"]) == ("t", 1, 7)
    listed = (await client.get("/admin/coupon_templates", headers=op)).json()
    assert listed == {"items": [shown], "next_cursor": None}


@pytest.mark.parametrize(
    ("template_id", "change", "status", "code"),
    [
        ("u", {"code": "TEA"}, 409, "code_taken"),
        ("t", {"code": "TEA", "quantity_total": 1}, 409, "below_granted"),
        ("u", {"shop_id": "9"}, 404, "shop_not_found"),
        ("u", {"valid_days": 7, "valid_to": "2100-01-01T00:00:00Z"}, 400, "invalid_request"),
        ("u", {"code": "x", "codes_count": 3}, 400, "invalid_request"),
        ("u", {"effect": {"kind": "unknown"}}, 400, "invalid_request"),
    ],
)
async def test_a_template_that_cannot_be_is_refused_and_changes_nothing(
    client: httpx.AsyncClient,
    services: Services,
    op: dict[str, str],
    template_id: str,
    change: dict[str, Any],
    status: int,
    code: str,
) -> None:
    await put_template(client, op, "t", code="TEA", quantity_total=5)
    await grant(client, op, "t", "42", "43")
    url = f"/admin/coupon_templates/{template_id}"
    refused = await client.put(url, json=TEMPLATE | change, headers=op)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    rows = await services.pool.fetch("SELECT template_id, quantity_total FROM coupon_template")
    assert [tuple(row) for row in rows] == [("t", 5)]


async def test_a_merchant_has_the_templates_of_its_own_shop_only(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    own, other = login("m", "merchant", "7"), login("n", "merchant", "8")
    await put_template(client, own, "mine", shop_id="7", codes_count=1)
    url = "/admin/coupon_templates/mine"
    for call in (
        client.put(url, json=TEMPLATE | {"shop_id": "7"}, headers=other),
        client.put("/admin/coupon_templates/all", json=TEMPLATE, headers=own),
        client.get(url, headers=other),
        client.get(f"{url}/codes", headers=other),
        grant(client, other, "mine", "42"),
    ):
        assert (await call).status_code == 403
    assert (await client.get("/admin/coupon_templates", headers=other)).json()["items"] == []
    assert await services.pool.fetchval("SELECT count(*) FROM coupon_template") == 1
    assert (await grant(client, own, "mine", "42")).status_code == 200


async def test_a_merchant_cannot_take_over_another_shops_template(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await client.put("/admin/shops/8", json={"name": "Other", "currency": "CNY"}, headers=op)
    await put_template(client, op, "t", shop_id="7")
    theirs, other = TEMPLATE | {"shop_id": "8"}, login("n", "merchant", "8")
    refused = await client.put("/admin/coupon_templates/t", json=theirs, headers=other)
    assert refused.status_code == 403
    assert await services.pool.fetchval("SELECT shop_id FROM coupon_template") == "7"


async def test_a_coupon_that_would_outlive_the_calendar_ends_with_it(
    client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    await put_template(client, op, "t", valid_from="9999-12-30T00:00:00Z", valid_days=3000)
    assert (await grant(client, op, "t", "42")).status_code == 200
