"""Invite codes: who comes by one gets a coupon, who invited gets one, once a buyer."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.coupons.calls import TEMPLATE, put_shop, put_template, redeem


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await put_shop(client, op)
    await put_template(client, op, "thanks", per_buyer_max=2)
    await put_template(client, op, "welcome", per_buyer_max=1, invite={"inviter_template_id": "thanks"})


async def invitation(client: httpx.AsyncClient, buyer: dict[str, str]) -> dict[str, Any]:
    answer = await client.get("/coupon/invite?template_id=welcome", headers=buyer)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def held(services: Services) -> list[tuple[str, str]]:
    """(buyer, template) of every coupon."""
    rows = await services.pool.fetch("SELECT buyer_id, template_id FROM coupon ORDER BY buyer_id, coupon_id")
    return [tuple(row) for row in rows]


async def test_both_get_a_coupon_and_the_code_stays_the_same(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    first = await invitation(client, login())
    assert (len(first["code"]), first["invited_count"], first["rewarded_count"]) == (16, 0, 0)
    coupon = await redeem(client, login("43"), first["code"])
    assert (coupon.status_code, coupon.json()["template_id"]) == (200, "welcome")
    assert await held(services) == [("42", "thanks"), ("43", "welcome")]
    assert await invitation(client, login()) == first | {"invited_count": 1, "rewarded_count": 1}
    again = await redeem(client, login("43"), first["code"])
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await held(services)) == 2
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_nobody_invites_themselves_and_a_buyer_counts_once(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    own = (await invitation(client, login()))["code"]
    other = (await invitation(client, login("44")))["code"]
    refused = await redeem(client, login(), own)
    assert (refused.status_code, refused.json()["code"]) == (409, "own_invitation")
    assert await held(services) == []
    codes = [own, other] * 4
    answers = await asyncio.gather(
        *(redeem(client, login("43"), code, key=str(n)) for n, code in enumerate(codes))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"already_invited"}
    assert sorted(template for _, template in await held(services)) == ["thanks", "welcome"]


async def test_where_the_inviter_may_have_no_more_the_invited_still_gets_one(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    code = (await invitation(client, login()))["code"]
    for buyer in ("43", "44", "45"):
        assert (await redeem(client, login(buyer), code)).status_code == 200
    assert [template for buyer, template in await held(services) if buyer == "42"] == ["thanks"] * 2
    shown = await invitation(client, login())
    assert (shown["invited_count"], shown["rewarded_count"]) == (3, 2)
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_only_a_template_that_invites_has_codes(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    for template_id in ("thanks", "unknown"):
        answer = await client.get(f"/coupon/invite?template_id={template_id}", headers=login())
        assert (answer.status_code, answer.json()["code"]) == (404, "template_not_found")
    assert (await client.get("/coupon/invite", headers=login())).status_code == 400
    code = (await invitation(client, login()))["code"]
    await put_template(client, op, "welcome")
    assert (await redeem(client, login("43"), code)).json()["code"] == "code_not_found"


async def test_a_merchant_gives_away_its_own_coupons_only(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    merchant = login("m", "merchant", "7")
    url, mine = "/admin/coupon_templates/mine", TEMPLATE | {"shop_id": "7"}
    theirs = await client.put(
        url, json=mine | {"invite": {"inviter_template_id": "thanks"}}, headers=merchant
    )
    assert theirs.status_code == 403
    nobodys = await client.put(url, json=mine | {"invite": {"inviter_template_id": "x"}}, headers=merchant)
    assert (nobodys.status_code, nobodys.json()["code"]) == (404, "inviter_template_not_found")
    own = await client.put(url, json=mine | {"invite": {"inviter_template_id": "mine"}}, headers=merchant)
    assert own.status_code == 200
