"""Codes in carts, with and without login: priced as if they had been redeemed, and nothing is used up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services, open_services
from app.lib.clock import OffsetClock
from app.lib.hot import Front
from app.settings import Settings
from tests.conftest import Login
from tests.coupons.calls import CART, cal_price, put_shop, put_template, redeem
from tests.coupons.test_claim_regions import lives
from tests.rows import put_sku

NOBODY: dict[str, str] = {}


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await put_shop(client, op)


async def one_time(client: httpx.AsyncClient, op: dict[str, str], template_id: str) -> list[str]:
    items = (await client.get(f"/admin/coupon_templates/{template_id}/codes", headers=op)).json()["items"]
    return [each["code"] for each in items]


async def invitation(client: httpx.AsyncClient, buyer: dict[str, str]) -> str:
    code: str = (await client.get("/coupon/invite?template_id=t", headers=buyer)).json()["code"]
    return code


def counted(summary: dict[str, Any]) -> tuple[int, list[str], list[tuple[str, str]]]:
    """What is paid, what lowers it, and what does not and why."""
    applied = [each["rule_id"] for each in summary["applied"]]
    return (
        summary["payable_minor"],
        applied,
        [(each["rule_id"], each["code"]) for each in summary["rejected"]],
    )


async def assert_nothing_given(services: Services) -> None:
    counts = """SELECT (SELECT count(*) FROM coupon), (SELECT count(*) FROM coupon_claim),
        (SELECT count(coupon_id) FROM coupon_code), (SELECT sum(granted_count) FROM coupon_template)"""
    assert tuple(await services.pool.fetchrow(counts)) == (0, 0, 0, 0)


async def test_a_shared_code_lowers_the_price_without_login_and_is_not_used(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await put_template(client, op, "t", code="TEA", quantity_total=1, per_buyer_max=1)
    for _ in range(2):
        summary = await cal_price(client, NOBODY, coupon_codes=["TEA", "TEA"])
        assert (summary["coupon_discount_minor"], summary["payable_minor"]) == (1_000, 19_000)
        given = {"kind": "coupon", "rule_id": "TEA", "name": "10 off", "amount_minor": 1_000}
        assert summary["applied"] == summary["shops"][0]["lines"][0]["discounts"] == [given]
        assert summary["rejected"] == []
    await assert_nothing_given(services)


async def test_a_one_time_code_lowers_the_price_until_somebody_has_redeemed_it(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", codes_count=1)
    [code] = await one_time(client, op, "t")
    for buyer in (NOBODY, login("43")):
        assert counted(await cal_price(client, buyer, coupon_codes=[code])) == (19_000, [code], [])
    await assert_nothing_given(services)
    assert (await redeem(client, login("42"), code)).status_code == 200
    used = {"kind": "coupon", "rule_id": code, "name": "10 off", "code": "code_used"}
    for buyer in (NOBODY, login("42"), login("43")):
        summary = await cal_price(client, buyer, coupon_codes=[code])
        assert (summary["payable_minor"], summary["rejected"]) == (20_000, [used])


async def test_after_login_the_code_becomes_a_coupon_at_the_price_that_was_shown(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", code="TEA", per_buyer_max=1)
    shown = await cal_price(client, NOBODY, coupon_codes=["TEA"])
    coupon_id = (await redeem(client, login(), "TEA")).json()["coupon_id"]
    summary = await cal_price(client, login(), coupon_ids=[coupon_id])
    assert counted(summary) == (shown["payable_minor"], [coupon_id], [])
    both = await cal_price(client, login(), coupon_ids=[coupon_id], coupon_codes=["TEA"])
    assert counted(both) == (19_000, [coupon_id], [("TEA", "per_buyer_max_reached")])


async def test_a_code_that_is_not_known_is_named_and_looks_like_nothing_else(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", code="TEA")
    unknown = {"kind": "coupon", "rule_id": "COFFEE", "name": "", "code": "code_not_found"}
    for buyer in (NOBODY, login()):
        summary = await cal_price(client, buyer, coupon_codes=["COFFEE", "TEA"])
        assert (summary["payable_minor"], summary["rejected"]) == (19_000, [unknown])
    # a code is no coupon's id, nor the other way round
    assert counted(await cal_price(client, NOBODY, coupon_ids=["TEA"])) == (
        20_000,
        [],
        [("TEA", "coupon_not_found")],
    )


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ({"quantity_total": 1}, "coupons_exhausted"),
        ({"valid_days": None, "valid_to": "2021-01-01T00:00:00Z"}, "coupons_ended"),
        ({"valid_from": "2099-01-01T00:00:00Z"}, "not_started"),
        ({"claim_regions": ["CN-SH"]}, "region_not_served"),
        ({"condition": {"regions": ["CN-SH"]}}, "region_not_served"),
        ({"condition": {"buyer_tags": ["gold"]}}, "buyer_not_entitled"),
        ({"condition": {"first_order": True}}, "not_first_order"),
        ({"condition": {"min_amount_minor": 20_001}}, "minimum_not_met"),
        ({"condition": {"currencies": ["USD"]}}, "currency_not_accepted"),
        ({"scope": {"sku_ids": ["1002"]}}, "not_in_scope"),
    ],
)
async def test_a_code_that_does_not_count_says_why(
    client: httpx.AsyncClient, op: dict[str, str], login: Login, template: dict[str, Any], reason: str
) -> None:
    await put_template(client, op, "t", code="TEA", **template)
    if reason == "coupons_exhausted":
        assert (await redeem(client, login("41"), "TEA")).status_code == 200
    for buyer in (NOBODY, login()):
        summary = await cal_price(client, buyer, coupon_codes=["TEA"])
        if buyer and reason == "not_first_order":  # known of who has logged in: it is their first
            assert counted(summary) == (19_000, ["TEA"], [])
            continue
        assert counted(summary) == (20_000, [], [("TEA", reason)])
        assert summary["rejected"][0]["name"] == "10 off"


async def test_a_code_counts_until_its_coupons_have_ended(
    client: httpx.AsyncClient, op: dict[str, str], clock: OffsetClock
) -> None:
    ends_at = clock.now() + timedelta(hours=1)
    await put_template(client, op, "t", code="TEA", valid_days=None, valid_to=ends_at.isoformat())
    assert counted(await cal_price(client, NOBODY, coupon_codes=["TEA"])) == (19_000, ["TEA"], [])
    clock.advance(timedelta(hours=1))
    ended = await cal_price(client, NOBODY, coupon_codes=["TEA"])
    assert counted(ended) == (20_000, [], [("TEA", "coupons_ended")])


async def test_of_a_template_each_buyer_gets_no_more_than_they_may_have(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", codes_count=3, per_buyer_max=2, quantity_total=3)
    first, second, third = await one_time(client, op, "t")
    for buyer in (NOBODY, login("42")):
        summary = await cal_price(client, buyer, coupon_codes=[third, second, first])
        assert counted(summary) == (18_000, [first, second], [(third, "per_buyer_max_reached")])
    for number, code in enumerate((first, second)):
        assert (await redeem(client, login("42"), code, key=str(number))).status_code == 200
    assert counted(await cal_price(client, login("42"), coupon_codes=[third])) == (
        20_000,
        [],
        [(third, "per_buyer_max_reached")],
    )
    assert counted(await cal_price(client, login("43"), coupon_codes=[third])) == (19_000, [third], [])


async def test_without_login_a_code_is_priced_for_the_region_that_the_cart_names(
    client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    await put_template(client, op, "t", code="TEA", claim_regions=["CN-SH", "SG"])
    refused = (20_000, [], [("TEA", "region_not_served")])
    assert counted(await cal_price(client, NOBODY, coupon_codes=["TEA"])) == refused
    assert counted(await cal_price(client, NOBODY, coupon_codes=["TEA"], region="CN-BJ")) == refused
    for region in ("CN-SH", "SG"):
        summary = await cal_price(client, NOBODY, coupon_codes=["TEA"], region=region)
        assert counted(summary) == (19_000, ["TEA"], [])
    bad = await client.post("/shopping/cal_price/v4_4", json=CART | {"region": "Shanghai"})
    assert (bad.status_code, bad.json()["code"]) == (400, "invalid_request")


async def test_a_code_that_counts_in_some_regions_counts_there_without_login(
    client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    await put_template(client, op, "t", code="TEA", condition={"regions": ["CN"]})
    summary = await cal_price(client, NOBODY, coupon_codes=["TEA"], region="CN-SH")
    assert counted(summary) == (19_000, ["TEA"], [])


async def test_with_login_the_address_says_where_a_buyer_lives_and_not_the_cart(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", code="TEA", claim_regions=["CN-SH"])
    there, elsewhere = await lives(client, login()), await lives(client, login(), "CN-BJ")
    for where in ({"region": "CN-SH"}, {"region": "CN-SH", "address_id": elsewhere}):
        summary = await cal_price(client, login(), coupon_codes=["TEA"], **where)
        assert counted(summary) == (20_000, [], [("TEA", "region_not_served")])
    summary = await cal_price(client, login(), coupon_codes=["TEA"], address_id=there)
    assert counted(summary) == (19_000, ["TEA"], [])


async def test_an_invitation_is_priced_for_others_than_who_invites(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", invite={"inviter_template_id": "t"})
    mine, other = await invitation(client, login("41")), await invitation(client, login("40"))
    for buyer in (NOBODY, login("42")):
        assert counted(await cal_price(client, buyer, coupon_codes=[mine])) == (19_000, [mine], [])
    await assert_nothing_given(services)
    assert counted(await cal_price(client, login("41"), coupon_codes=[mine]))[2] == [(mine, "own_invitation")]
    assert (await redeem(client, login("42"), other)).status_code == 200
    invited = await cal_price(client, login("42"), coupon_codes=[mine])
    assert counted(invited) == (20_000, [], [(mine, "already_invited")])
    await put_template(client, op, "t", invite=None)
    assert counted(await cal_price(client, NOBODY, coupon_codes=[mine]))[2] == [(mine, "code_not_found")]


async def test_the_best_coupons_are_found_among_codes_too(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", code="TEA", stack_category="x")
    percent = {"kind": "percent_off", "percent_bp": 1_000}
    await put_template(client, op, "u", code="TENTH", stack_category="x", effect=percent)
    both = {"coupon_codes": ["TEA", "TENTH", "NONE"]}
    rejected = [("TEA", "stack_conflict"), ("NONE", "code_not_found")]
    for buyer in (NOBODY, login()):
        summary = await cal_price(client, buyer, auto_coupons=True, **both)
        assert counted(summary) == (18_000, ["TENTH"], rejected)
    answer = await client.post("/shopping/user_coupons_for_order", json=CART | both, headers=login())
    assert answer.status_code == 200, answer.text
    choice = answer.json()
    assert choice["usable"] == [
        {"coupon_id": "TEA", "name": "10 off", "saves_minor": 1_000, "best": False},
        {"coupon_id": "TENTH", "name": "10 off", "saves_minor": 2_000, "best": True},
    ]
    assert choice["unusable"] == [{"coupon_id": "NONE", "name": "", "code": "code_not_found"}]


async def test_more_codes_than_a_cart_may_name_are_refused(client: httpx.AsyncClient) -> None:
    for codes in (["a", "b", "c", "d", "e", "f"], [""], ["x" * 65], ["a\u0000"]):
        refused = await client.post("/shopping/cal_price/v4_4", json=CART | {"coupon_codes": codes})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")


@pytest.fixture
def slow(settings: Settings) -> Settings:
    """A bucket of six calls."""
    return Settings(
        database_url=settings.database_url,
        redis_url=settings.redis_url,
        rate_limit_per_s=0.001,
        rate_limit_burst=6,
    )


async def test_unknown_codes_are_guessed_no_faster_than_they_could_be_redeemed(
    application: Front, slow: Settings, client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    """Each unknown code takes a call beside its call's own."""
    await put_template(client, op, "t", code="TEA")
    await put_template(client, op, "u", code="AWAY", claim_regions=["SG"])

    async def priced(buyer: dict[str, str], *codes: str) -> int:
        body = CART | {"coupon_codes": codes}
        answer = await client.post("/shopping/cal_price/v4_4", json=body, headers=buyer)
        if answer.status_code == 429:
            assert int(answer.headers["retry-after"]) > 0
        return answer.status_code

    async with open_services(slow, name="slow") as services:
        application.bind(services)
        assert [await priced(login(), "A", "B", "TEA") for _ in range(3)] == [200, 200, 429]
        assert (await redeem(client, login(), "TEA")).status_code == 429
        # Without login: the codes that are not known count, however many carts name some that are.
        assert [await priced(NOBODY, "TEA", "AWAY") for _ in range(8)] == [200] * 8
        assert [await priced(NOBODY, "A", "B", "C") for _ in range(3)] == [200, 200, 429]
        assert await priced(NOBODY, "TEA") == 429
        assert await priced(NOBODY) == 200


async def test_an_unknown_code_costs_one_call_also_where_its_cart_is_priced_twice(
    application: Front, slow: Settings, client: httpx.AsyncClient
) -> None:
    """As the first cart with goods of which this process has not yet asked how many there are."""
    async with open_services(slow, name="slow") as services:
        application.bind(services)
        await put_sku(services.pool, "2002", shop_id="8", price_minor=500)
        await services.prices.refresh()
        lines = [{"sku_id": "2002", "quantity": 1}]
        for codes in (["A", "B", "C"], ["D"], ["E"]):  # counted twice, these would be ten
            assert (await cal_price(client, NOBODY, lines=lines, coupon_codes=codes))["payable_minor"] == 500
