"""Red packets over HTTP: sent only from money in the pool, and back into it when nobody used them in time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from app.red_packets.expire import expire_red_packets
from tests.auditing import assert_audit_clean
from tests.balances.calls import Operator
from tests.balances.conftest import Holds
from tests.conftest import Login
from tests.rows import put_shop

POOL = "/admin/red_packet_pools/spring"


async def packets(client: httpx.AsyncClient, headers: dict[str, str]) -> list[tuple[str, int]]:
    shown = (await client.get("/red_packets", headers=headers)).json()["items"]
    return [(each["status"], each["amount_minor"]) for each in shown]


async def test_packets_are_sent_from_money_in_the_pool_once_a_key(
    op: Operator, services: Services, login: Login, holds: Holds
) -> None:
    await op.pool()
    empty = await op.send(100)
    assert (empty.status_code, empty.json()["code"]) == (409, "red_packet_pool_too_low")
    assert (empty.json()["balance_minor"], empty.json()["missing_minor"]) == (0, 100)
    funded = await asyncio.gather(*(op.post(f"{POOL}/fund", "k", amount_minor=1_000) for _ in range(3)))
    assert {each.json()["balance_minor"] for each in funded} == {1_000}
    first = await op.send(300, "42", "43", key="k")
    assert (first.status_code, first.json()["balance_minor"]) == (200, 400)
    assert (await op.send(300, "42", "43", key="k")).text == first.text
    short = await op.send(300, "42", "43")
    assert (short.status_code, short.json()["missing_minor"]) == (409, 200)
    assert await packets(op.client, login()) == [("available", 300)]
    assert await packets(op.client, login("44")) == []
    assert (await holds("red_packet_pool:spring"), await holds("issued:red_packet")) == (400, -1_000)
    await assert_audit_clean(services)


async def test_however_many_send_at_once_no_more_leaves_the_pool_than_is_in_it(
    op: Operator, services: Services, holds: Holds
) -> None:
    await op.pool(funds_minor=1_000)
    answers = await asyncio.gather(*(op.send(100, "42", "43", "44") for _ in range(6)))
    assert sorted(each.status_code for each in answers) == [200] * 3 + [409] * 3
    assert await holds("red_packet_pool:spring") == 100
    await assert_audit_clean(services)


async def test_a_packet_that_nobody_used_in_time_is_back_in_the_pool_once(
    op: Operator, services: Services, login: Login, clock: OffsetClock, holds: Holds
) -> None:
    await op.pool(funds_minor=1_000)
    await op.send(100, "42", "43", valid_days=1)
    await op.send(200, valid_days=2)
    clock.advance(timedelta(days=1, seconds=1))
    assert await packets(op.client, login()) == [("available", 200), ("expired", 100)]
    await asyncio.gather(*(expire_red_packets(services, services.clock.now(), 10) for _ in range(3)))
    assert await expire_red_packets(services, services.clock.now(), 10) == 0
    assert await holds("red_packet_pool:spring") == 800
    assert await packets(op.client, login()) == [("available", 200), ("expired", 100)]
    await assert_audit_clean(services)


async def test_a_merchant_has_its_own_shops_pools_and_only_an_operator_funds_them(
    op: Operator, services: Services, login: Login, holds: Holds
) -> None:
    await put_shop(services.pool, "7")
    own = Operator(op.client, login("m", "merchant", "7"))
    other = Operator(op.client, login("n", "merchant", "8"))
    await own.pool("mine", shop_id="7")
    await op.post("/admin/red_packet_pools/mine/fund", amount_minor=500)
    for call in (
        own.put(POOL, name="All", currency="CNY"),
        other.put("/admin/red_packet_pools/mine", name="Mine", currency="CNY", shop_id="7"),
        own.post("/admin/red_packet_pools/mine/fund", amount_minor=500),
        other.send(100, pool_id="mine"),
        op.client.get("/admin/red_packet_pools/mine", headers=other.headers),
    ):
        assert (await call).status_code == 403
    assert (await own.send(100, pool_id="mine")).status_code == 200
    assert await holds("red_packet_pool:mine") == 400


async def test_a_pool_keeps_its_shop_and_currency(op: Operator, services: Services) -> None:
    await op.pool(funds_minor=100)
    await op.pool(name="Autumn")
    moved = await op.put(POOL, name="Winter", currency="USD")
    assert (moved.status_code, moved.json()["code"]) == (409, "red_packet_pool_fixed")
    nowhere = await op.put("/admin/red_packet_pools/x", name="X", currency="CNY", shop_id="9")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "shop_not_found")
    shown = (await op.client.get(POOL, headers=op.headers)).json()
    assert shown == {
        "pool_id": "spring",
        "name": "Autumn",
        "currency": "CNY",
        "shop_id": None,
        "balance_minor": 100,
        "pays_charges": False,
    }
    unknown = await op.send(100, pool_id="unknown")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "red_packet_pool_not_found")
