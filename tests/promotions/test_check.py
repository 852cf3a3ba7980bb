"""Before publishing: what a promotion meets, how low prices get, and the floor that must be overridden."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from app.bootstrap import Services
from tests.conftest import Login

HALF = {"kind": "percent_off", "percent_bp": 5_000}
SKUS = [
    {"sku_id": "a", "prices": {"CNY": {"price_minor": 10_000, "cost_minor": 4_000}}},
    {"sku_id": "b", "prices": {"CNY": {"price_minor": 2_000}, "JPY": {"price_minor": 300}}},
    {"sku_id": "c", "prices": {"CNY": {"price_minor": 30_000, "cost_minor": 1}}},
]


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await client.put("/admin/shops/7", json={"name": "Lan", "currency": "CNY"}, headers=op)
    item = {"shop_id": "7", "title": "Tea", "skus": SKUS}
    put = await client.put("/admin/items/tea", json=item, headers=op)
    assert put.json()["skus"][0]["prices"]["CNY"]["cost_minor"] == 4_000


def promotion(**fields: Any) -> dict[str, Any]:
    return {"name": "Half", "lane": "shop", "effect": HALF} | fields


@pytest.fixture
def put(client: httpx.AsyncClient, op: dict[str, str]) -> Any:
    async def call(promotion_id: str, *, query: str = "", **fields: Any) -> httpx.Response:
        url = f"/admin/promotions/{promotion_id}{query}"
        return await client.put(url, json=promotion(**fields), headers=op)

    return call


@pytest.fixture
def check(client: httpx.AsyncClient, op: dict[str, str]) -> Any:
    async def call(*, coupons: bool = False, **fields: Any) -> dict[str, Any]:
        body = {"promotion_id": "draft", "document": promotion(**fields), "coupons": coupons}
        answer = await client.post("/admin/promotions/check", json=body, headers=op)
        assert answer.status_code == 200, answer.text
        report: dict[str, Any] = answer.json()
        return report

    return call


async def test_what_it_collides_with_or_stacks_on_is_named_with_its_skus_and_times(
    put: Any, check: Any
) -> None:
    small = {"effect": {"kind": "percent_off", "percent_bp": 100}}
    await put("stacks", lane="item", scope={"sku_ids": ["b", "c"]}, **small)
    await put("excludes", exclusive=True, starts_at="2100-01-01T00:00:00Z", **small)
    await put("chosen", lane="platform", choice_group="g", scope={"sku_ids": ["a"]}, **small)
    await put("over", ends_at="2021-01-01T00:00:00Z", **small)
    await put("elsewhere", condition={"currencies": ["USD"]}, **small)
    report = await check(choice_group="g", ends_at="2101-01-01T00:00:00Z", condition={"currencies": ["CNY"]})
    found = [(each["promotion_id"], each["relation"], each["sku_ids"]) for each in report["collisions"]]
    assert found == [
        ("stacks", "stacks", ["b", "c"]),
        ("excludes", "excludes", ["a", "b", "c"]),
        ("chosen", "choice_group", ["a"]),
    ]
    assert report["collisions"][1]["starts_at"] == "2100-01-01T00:00:00Z"
    assert report["collisions"][1]["ends_at"] == "2101-01-01T00:00:00Z"
    assert (report["skus_in_scope"], report["skus_priced"]) == (3, 3)


async def test_the_lowest_price_counts_all_that_stacks_at_the_quantity_and_the_time_where_it_does(
    put: Any, check: Any
) -> None:
    off = {"kind": "amount_off", "amount_minor": 500}
    await put("three", lane="item", effect=off, condition={"min_quantity": 3, "currencies": ["CNY"]})
    await put("later", lane="platform", effect=off, starts_at="2100-01-01T00:00:00Z")
    report = await check(condition={"currencies": ["CNY"]}, scope={"sku_ids": ["b"]})
    (lowest,) = report["lowest"]
    assert lowest == {
        "sku_id": "b",
        "currency": "CNY",
        "quantity": 1,
        "goods_minor": 2_000,
        "lowest_minor": 500,
        "floor_minor": 0,
        "rule_ids": ["draft", "later"],
    }
    both = await check(condition={"min_quantity": 3}, scope={"sku_ids": ["b"]})
    cny = next(each for each in both["lowest"] if each["currency"] == "CNY")
    assert (cny["quantity"], cny["lowest_minor"], cny["rule_ids"]) == (3, 2_250, ["three", "draft", "later"])


async def test_below_cost_it_is_refused_unless_overridden_and_that_is_kept_on_record(
    put: Any, check: Any, services: Services
) -> None:
    deep = {"effect": {"kind": "percent_off", "percent_bp": 6_001}}
    assert (await put("p", effect={"kind": "percent_off", "percent_bp": 6_000})).status_code == 200
    refused = await put("p", **deep)
    assert (refused.status_code, refused.json()["code"], refused.json()["sku_ids"]) == (
        422,
        "below_floor",
        ["a"],
    )
    (violation,) = refused.json()["violations"]
    assert (violation["lowest_minor"], violation["floor_minor"]) == (3_999, 4_000)
    stored = "SELECT document #>> '{effect,percent_bp}' FROM promotion"
    assert await services.pool.fetchval(stored) == "6000"
    assert await services.pool.fetchval("SELECT count(*) FROM promotion_override") == 0
    assert (await put("p", enabled=False, **deep)).status_code == 200  # a draft that is off lowers nothing
    assert (await put("p", query="?override=true", **deep)).status_code == 200
    row = await services.pool.fetchrow("SELECT promotion_id, by_sub, violations FROM promotion_override")
    assert (row["promotion_id"], row["by_sub"], row["violations"][0]["sku_id"]) == ("p", "ann", "a")


async def test_coupons_that_everybody_may_claim_can_be_counted_in(
    check: Any, client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    template = {"name": "c", "valid_days": 7, "effect": HALF, "claimable": True}
    template |= {"condition": {"buyer_tags": ["gold"], "regions": ["CN"]}}
    await client.put("/admin/coupon_templates/t", json=template, headers=op)
    scope = {"sku_ids": ["a"]}
    assert [each["lowest_minor"] for each in (await check(scope=scope))["lowest"]] == [5_000]
    report = await check(scope=scope, coupons=True)
    assert [(each["lowest_minor"], each["rule_ids"]) for each in report["violations"]] == [
        (2_500, ["draft", "t"])
    ]


async def test_a_merchant_checks_its_own_shops_promotions_only(
    client: httpx.AsyncClient, login: Login
) -> None:
    merchant = login("m", "merchant", "7")
    for document, status in (
        (promotion(shop_id="7"), 200),
        (promotion(), 403),
        (promotion(shop_id="8"), 403),
    ):
        body = {"promotion_id": "p", "document": document}
        answer = await client.post("/admin/promotions/check", json=body, headers=merchant)
        assert answer.status_code == status


async def test_a_set_part_of_the_price_is_a_floor_too(check: Any, services: Services) -> None:
    services.settings = replace(services.settings, price_floor_bp=3_000)
    report = await check(effect={"kind": "amount_off", "amount_minor": 1_500})
    assert [(each["sku_id"], each["floor_minor"]) for each in report["violations"]] == [("b", 600)]
    assert report["violations_count"] == 1  # an amount without a currency is the shop's own, not yen


async def test_a_bill_has_no_price_to_check_and_keeps_no_promotion_from_being_published(
    put: Any, check: Any, client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    bill = {"sku_id": "bill", "prices": {"CNY": {"price_minor": 0, "cost_minor": 1}}}
    item = {"shop_id": "7", "title": "Bill", "item_type": "bill", "skus": [bill]}
    assert (await client.put("/admin/items/counter", json=item, headers=op)).status_code == 200
    report = await check()
    assert (report["skus_in_scope"], report["skus_priced"]) == (4, 3)
    assert (await put("p")).status_code == 200
    assert (await put("p", scope={"sku_ids": ["bill"]})).status_code == 200


@pytest.mark.parametrize(
    "condition",
    [
        {"buyer_tags": ["gold"]},
        {"first_order": True},
        {"channels": ["app"]},
        {"regions": ["CN"]},
        {"regions": ["CN-SH"], "channels": ["app"], "buyer_tags": ["gold"], "first_order": True},
    ],
)
async def test_a_promotion_for_some_buyers_keeps_the_floor_for_them(
    put: Any, check: Any, condition: dict[str, Any]
) -> None:
    """Beside one that they may have, too, and one that they cannot: who is in the US is not in China."""
    await put("all", lane="item", scope={"sku_ids": ["a"]}, condition={"regions": ["CN-SH"]})
    await put("us", lane="item", scope={"sku_ids": ["a"]}, condition={"regions": ["US"]})
    deep = {"effect": {"kind": "percent_off", "percent_bp": 6_001}, "scope": {"sku_ids": ["a"]}}
    report = await check(condition=condition, **deep)
    (violation,) = report["violations"]
    assert (violation["lowest_minor"], violation["rule_ids"]) == (1_999, ["all", "draft"])
    assert (await put("p", condition=condition, **deep)).json()["code"] == "below_floor"


async def test_a_members_price_counts_before_what_the_draft_takes_off_it(
    check: Any, client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    price = {"price_minor": 10_000, "cost_minor": 6_000, "member_prices": {"gold": 7_000, "new": 9_000}}
    item = {"shop_id": "7", "title": "D", "skus": [{"sku_id": "d", "prices": {"CNY": price}}]}
    assert (await client.put("/admin/items/d", json=item, headers=op)).status_code == 200
    scope = {"sku_ids": ["d"]}
    report = await check(scope=scope, effect={"kind": "percent_off", "percent_bp": 1_500})
    (violation,) = report["violations"]
    assert (violation["goods_minor"], violation["lowest_minor"]) == (10_000, 5_950)
    assert (await check(scope=scope, effect={"kind": "percent_off", "percent_bp": 1_400}))["violations"] == []


@pytest.mark.parametrize(
    ("fields", "lowest"),
    [
        ({"effect": {"kind": "addon_price", "sku_id": "a", "price_minor": 100}}, {"a": 100}),
        (
            {
                "effect": {"kind": "addon_price", "sku_id": "a", "price_minor": 100},
                "scope": {"sku_ids": ["b"]},
                "condition": {"min_amount_minor": 10_000},
            },
            {"a": 100},
        ),
        (
            {
                "effect": {
                    "kind": "buy_x_get_y",
                    "buy_quantity": 3,
                    "get_quantity": 1,
                    "get_percent_bp": 9_000,
                }
                | {"get_scope": {"sku_ids": ["a"]}},
                "scope": {"sku_ids": ["b"]},
            },
            {"a": 1_000},
        ),
        (
            {"effect": {"kind": "bundle", "sku_quantities": {"a": 2, "b": 1}, "price_minor": 2_200}},
            {"a": 2_000, "b": 200},
        ),
    ],
)
async def test_what_is_cheap_beside_other_goods_is_priced_beside_them(
    check: Any, fields: dict[str, Any], lowest: dict[str, int]
) -> None:
    report = await check(**fields)
    cny = {each["sku_id"]: each["lowest_minor"] for each in report["lowest"] if each["currency"] == "CNY"}
    assert cny == lowest
    assert [each["sku_id"] for each in report["violations"]] == ["a"]


async def test_what_is_below_its_floor_already_keeps_no_promotion_back_that_has_no_part_in_it(
    put: Any, client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    price = {"price_minor": 1_000, "cost_minor": 1_001}
    item = {"shop_id": "7", "title": "D", "skus": [{"sku_id": "d", "prices": {"CNY": price}}]}
    assert (await client.put("/admin/items/d", json=item, headers=op)).status_code == 200
    gift = {"effect": {"kind": "gift", "sku_id": "b"}, "scope": {"sku_ids": ["d"]}}
    assert (await put("gift", **gift)).status_code == 200
    assert (await put("off", scope={"sku_ids": ["d"]})).json()["code"] == "below_floor"


async def test_two_that_are_published_at_one_moment_do_not_pass_below_the_floor_together(
    put: Any, services: Services
) -> None:
    forty_off = {"effect": {"kind": "percent_off", "percent_bp": 4_000}, "scope": {"sku_ids": ["a"]}}
    answers = await asyncio.gather(*(put(f"p{n}", **forty_off) for n in range(4)))
    assert sorted(each.status_code for each in answers) == [200, 422, 422, 422]
    assert await services.pool.fetchval("SELECT count(*) FROM promotion") == 1
