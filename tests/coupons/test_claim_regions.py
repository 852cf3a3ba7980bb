"""Coupons for buyers of some regions: claimed, redeemed and shown there, and nowhere else."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.conftest import Login
from tests.coupons.calls import claim, grant, put_shop, put_template, redeem

HOME: dict[str, Any] = {
    "name": "Lan", "phone": "13800000000", "country": "CN", "city": "上海",
    "street": "1 Nanjing Road", "postcode": "200001",
}  # fmt: skip


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await put_shop(client, op)


async def lives(client: httpx.AsyncClient, buyer: dict[str, str], region: str = "CN-SH") -> str:
    answer = await client.post("/address-api/upsert", json=HOME | {"region": region}, headers=buyer)
    assert answer.status_code == 200, answer.text
    address_id: str = answer.json()["address_id"]
    return address_id


async def given(services: Services) -> int:
    count: int = await services.pool.fetchval("SELECT count(*) FROM coupon")
    return count


async def test_a_buyer_with_an_address_there_claims_and_others_do_not(
    client: httpx.AsyncClient, op: dict[str, str], login: Login, services: Services
) -> None:
    await put_template(client, op, "t", claimable=True, claim_regions=["CN-SH", "SG"], per_buyer_max=1)
    there, elsewhere = await lives(client, login("42")), await lives(client, login("43"), "CN-BJ")
    refused = [
        await claim(client, login("42"), "t"),
        await claim(client, login("43"), "t", address_id=elsewhere),
        await claim(client, login("43"), "t", address_id=there),  # somebody else's
        await claim(client, login("43"), "t", address_id="1"),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(409, "region_not_served")] * 4
    assert refused[0].json()["regions"] == ["CN-SH", "SG"]
    assert await given(services) == 0
    taken = await claim(client, login("42"), "t", address_id=there)
    assert taken.status_code == 200, taken.text
    again = await claim(client, login("42"), "t", address_id=there)
    assert (again.json(), again.headers["idempotent-replayed"]) == (taken.json(), "true")


async def test_a_claim_is_repeated_from_whatever_region_the_template_is_for_now(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, claim_regions=["CN"])
    there = await lives(client, login())
    taken = await claim(client, login(), "t", address_id=there)
    await put_template(client, op, "t", claimable=True, claim_regions=["SG"])
    assert (await claim(client, login(), "t", address_id=there)).json() == taken.json()
    assert (await claim(client, login(), "t", key="k2", address_id=there)).status_code == 409


@pytest.mark.parametrize("codes", [{"code": "SHANGHAI"}, {"codes_count": 1}])
async def test_codes_are_for_the_region_and_a_refused_one_is_not_used(
    client: httpx.AsyncClient, op: dict[str, str], login: Login, services: Services, codes: dict[str, Any]
) -> None:
    await put_template(client, op, "t", claim_regions=["CN-SH"], **codes)
    code = codes.get("code") or await services.pool.fetchval("SELECT code FROM coupon_code")
    elsewhere, there = await lives(client, login("43"), "CN-BJ"), await lives(client, login("42"))
    for more in ({}, {"address_id": elsewhere}):
        refused = await redeem(client, login("43"), code, **more)
        assert (refused.status_code, refused.json()["code"]) == (409, "region_not_served")
    assert await given(services) == 0
    assert (await redeem(client, login("42"), code, address_id=there)).status_code == 200


async def test_an_invitation_is_for_those_who_live_there(
    client: httpx.AsyncClient, op: dict[str, str], login: Login, services: Services
) -> None:
    await put_template(client, op, "thanks")
    invite = {"invite": {"inviter_template_id": "thanks"}}
    await put_template(client, op, "t", claim_regions=["CN-SH"], **invite)
    shown = await client.get("/coupon/invite?template_id=t", headers=login("41"))
    code = shown.json()["code"]
    assert (await redeem(client, login("42"), code)).json()["code"] == "region_not_served"
    assert await given(services) == 0
    there = await lives(client, login("42"))
    assert (await redeem(client, login("42"), code, address_id=there)).status_code == 200
    assert await given(services) == 2


async def test_offers_of_a_region_are_shown_without_login(
    client: httpx.AsyncClient, op: dict[str, str]
) -> None:
    await put_template(client, op, "all", claimable=True)
    await put_template(client, op, "china", claimable=True, claim_regions=["CN"])
    await put_template(client, op, "shanghai", claimable=True, claim_regions=["CN-SH"])
    shown = {}
    for query in ("", "?region=CN-SH", "?region=CN-BJ", "?region=SG"):
        items = (await client.get(f"/coupon/offers{query}")).json()["items"]
        shown[query] = [each["template_id"] for each in items]
    assert shown == {
        "": ["all", "china", "shanghai"],
        "?region=CN-SH": ["all", "china", "shanghai"],
        "?region=CN-BJ": ["all", "china"],
        "?region=SG": ["all"],
    }
    assert (await client.get("/coupon/offers?region=shanghai")).status_code == 400


async def test_a_grant_asks_for_no_region_and_an_impossible_one_is_refused(
    client: httpx.AsyncClient, op: dict[str, str], services: Services
) -> None:
    await put_template(client, op, "t", claim_regions=["CN-SH"])
    assert (await grant(client, op, "t", "42")).status_code == 200
    body = {"name": "x", "effect": {"kind": "free_freight"}, "claim_regions": ["Shanghai"]}
    answer = await client.put("/admin/coupon_templates/u", json=body, headers=op)
    assert answer.status_code == 400
