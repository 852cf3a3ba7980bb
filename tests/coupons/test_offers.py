"""What can be claimed now, for whom has logged in and who has not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from tests.conftest import Login
from tests.coupons.calls import claim, put_shop, put_template
from tests.waiting import wait_until


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await put_shop(client, op)


async def offers(client: httpx.AsyncClient, headers: dict[str, str], query: str = "") -> list[dict[str, Any]]:
    answer = await client.get(f"/coupon/offers{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_offers_are_shown_without_login_and_say_what_is_left(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "many", claimable=True, quantity_total=5, per_buyer_max=1)
    await put_template(client, op, "endless", claimable=True)
    await put_template(client, op, "hidden")
    endless, many = await offers(client, {})
    assert (endless["template_id"], endless["left"], endless["can_claim"]) == ("endless", None, None)
    assert (many["template_id"], many["left"], many["per_buyer_max"]) == ("many", 5, 1)
    assert many["effect"] == {"kind": "amount_off", "amount_minor": 1000, "per": "order"}
    assert many["condition"]["min_amount_minor"] == 15_000
    await claim(client, login(), "many")
    assert [each["can_claim"] for each in await offers(client, login())] == [True, False]
    assert [each["can_claim"] for each in await offers(client, login("43"))] == [True, True]
    assert [each["can_claim"] for each in await offers(client, op)] == [None, None]
    assert (await client.get("/coupon/offers", headers={"authorization": "Bearer x"})).status_code == 401


async def test_coupons_that_are_gone_are_offered_no_more_within_a_second(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=1)
    assert len(await offers(client, {})) == 1
    await claim(client, login(), "t")

    async def gone() -> bool:
        return await offers(client, {}) == []

    await wait_until(gone, limit_s=1.0)


async def test_offers_have_their_window(
    client: httpx.AsyncClient, op: dict[str, str], clock: OffsetClock
) -> None:
    opens = clock.now() + timedelta(hours=1)
    window = {"claim_from": opens.isoformat(), "claim_to": (opens + timedelta(hours=1)).isoformat()}
    await put_template(client, op, "t", claimable=True, **window)
    assert await offers(client, {}) == []
    clock.advance(timedelta(hours=1, minutes=1))
    assert len(await offers(client, {})) == 1
    clock.advance(timedelta(hours=1))
    assert await offers(client, {}) == []


async def test_offers_are_found_by_shop_and_by_sku_in_pages(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await client.put("/admin/shops/8", json={"name": "Pots", "currency": "CNY"}, headers=op)
    await put_template(client, op, "all", claimable=True)
    await put_template(client, op, "eight", claimable=True, shop_id="8")
    await put_template(client, op, "for-8", claimable=True, scope={"shop_ids": ["8"]})
    await put_template(client, op, "seven", claimable=True, shop_id="7")
    await put_template(client, op, "tea", claimable=True, scope={"sku_ids": ["1001"]})

    async def found(query: str) -> list[str]:
        return [each["template_id"] for each in await offers(client, {}, query)]

    assert await found("?shop_id=7") == ["all", "seven", "tea"]
    assert await found("?shop_id=8") == ["all", "eight", "for-8", "tea"]
    assert await found("?sku_id=1001") == ["all", "seven", "tea"]
    assert await found("?limit=2&cursor=after:all") == ["eight", "for-8"]
    unknown = await client.get("/coupon/offers?sku_id=x")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "sku_not_found")
