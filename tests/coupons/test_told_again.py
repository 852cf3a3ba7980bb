"""A process may die between its commit and telling gate and caches: who tries again then has them told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx
import pytest
from redis.asyncio import Redis

from app.bootstrap import Services
from app.coupons.reconcile import measure_coupon_drift
from tests.conftest import Login
from tests.coupons.calls import CART, cal_price, claim, grant, put_template, redeem
from tests.rows import put_sku


async def remembered(redis: Redis) -> Callable[[], Awaitable[None]]:
    """What Valkey holds now; call it to go back to that, as if nobody had told it anything since."""
    kept = {key: await redis.dump(key) for key in await redis.keys()}

    async def go_back() -> None:
        await redis.flushall()
        for key, value in kept.items():
            await redis.restore(key, 0, value)

    return go_back


@pytest.mark.parametrize("way", ["an order", "a redemption", "a grant"])
async def test_who_died_after_the_commit_has_gate_and_caches_told_by_the_next_try(
    client: httpx.AsyncClient, services: Services, login: Login, way: str
) -> None:
    """Else the gate counts too few, and who got a coupon is priced without it, until both are rebuilt."""
    op, buyer, inviter = login("ann", "op"), login("42"), login("41")
    await put_sku(services.pool, on_hand=1_000)
    await services.prices.refresh()
    await put_template(client, op, "thanks", claimable=True)
    await put_template(client, op, "t", claimable=True, invite={"inviter_template_id": "thanks"})
    code = (await client.get("/coupon/invite?template_id=t", headers=inviter)).json()["code"]
    for template_id in ("t", "thanks"):  # loads the gates
        assert (await claim(client, login("40"), template_id, key=template_id)).status_code == 200
    for who in (buyer, inviter):  # caches that there are none
        assert (await cal_price(client, who, auto_coupons=True))["payable_minor"] == 20_000

    async def call() -> httpx.Response:
        if way == "a redemption":
            return await redeem(client, buyer, code)
        if way == "a grant":
            return await grant(client, op, "t", "41", "42")
        body = CART | {"payable_minor": 19_000, "coupon_codes": [code]}
        headers = buyer | {"idempotency-key": "k"}
        return await client.post("/shopping/cart/checkout/entries", json=body, headers=headers)

    go_back = await remembered(services.redis)
    first = await call()
    assert first.status_code < 300, first.text
    await go_back()
    assert await measure_coupon_drift(services.valkey, services.pool) != []

    again = await call()

    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    assert await measure_coupon_drift(services.valkey, services.pool) == []
    assert (await cal_price(client, inviter, auto_coupons=True))["payable_minor"] == 19_000
    held = 20_000 if way == "an order" else 19_000  # the order's waits for it to be paid
    assert (await cal_price(client, buyer, auto_coupons=True))["payable_minor"] == held
