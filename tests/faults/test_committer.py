"""Faults beside the committer: lost replies, ended connections, deadlocks, bad rows, a full backlog."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest

from app.bootstrap import Services, open_services
from app.checkout.place import CALL
from app.http import create_app
from app.lib.idempotency import key_digest
from app.settings import Settings
from app.stock.reconcile import measure_drift
from app.stock.scripts import Reservation, Verdict, Want
from tests.conftest import Login
from tests.faults.proxy import open_proxy
from tests.rows import put_flash_sale, put_sku
from tests.waiting import wait_until

PATH = "/shopping/cart/checkout/entries"
PRICE_MINOR = 10_000


class Shop:
    """One API process's services, and its way in."""

    def __init__(self, services: Services, http: httpx.AsyncClient, login: Login) -> None:
        self.services = services
        self.http = http
        self.login = login

    async def buy(self, *sku_ids: str, key: str, buyer_id: str = "42", **more: Any) -> httpx.Response:
        """One of each SKU."""
        body = {
            "currency": "CNY",
            "lines": [{"sku_id": sku_id, "quantity": 1} for sku_id in sku_ids],
            "payable_minor": PRICE_MINOR * len(sku_ids),
            **more,
        }
        headers = {**self.login(buyer_id), "idempotency-key": key}
        return await self.http.post(PATH, json=body, headers=headers)

    async def orders(self) -> int:
        count: int = await self.services.pool.fetchval("SELECT count(*) FROM orders")
        return count

    async def wait_settled(self, limit_s: float = 5.0) -> None:
        """Until nothing is in flight and the gate equals the ledger, without any sweep."""

        async def settled() -> bool:
            flights = await self.services.redis.hlen("gate:{7}:flight")
            return flights == 0 and await measure_drift(self.services.valkey, self.services.pool) == []

        await wait_until(settled, limit_s)


OpenShop = Callable[..., AbstractAsyncContextManager[Shop]]


@pytest.fixture
def open_shop(settings: Settings, login: Login) -> OpenShop:
    """Services of their own, with some settings changed."""

    @asynccontextmanager
    async def opener(**changed: Any) -> AsyncIterator[Shop]:
        own = msgspec.structs.replace(settings, **changed)
        front = create_app(own)
        async with open_services(own, name="test") as services:
            front.bind(services)
            transport = httpx.ASGITransport(app=front)
            async with httpx.AsyncClient(transport=transport, base_url="http://rushcart.test") as http:
                yield Shop(services, http, login)

    return opener


async def test_an_order_whose_commit_lost_its_reply_is_placed_once_and_answered_as_placed(
    open_shop: OpenShop, database_url: str
) -> None:
    async with open_proxy(database_url) as (proxy, proxied_url), open_shop(database_url=proxied_url) as shop:
        await put_sku(shop.services.pool, "1001")
        await shop.services.prices.refresh()
        assert (await shop.buy("1001", key="first")).status_code == 201
        proxy.lose = b"lose this"
        answer = await shop.buy("1001", key="second", memo="lose this")
        assert (answer.status_code, proxy.lost) == (201, True), answer.text
        assert "idempotent-replayed" not in answer.headers
        again = await shop.buy("1001", key="second", memo="lose this")
        assert (again.status_code, again.content) == (201, answer.content)
        assert again.headers["idempotent-replayed"] == "true"
        assert await shop.orders() == 2
        await shop.wait_settled()


async def test_ended_connections_fail_no_order_and_no_other_call(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await put_sku(shop.services.pool, "1001", on_hand=200)
        await shop.services.prices.refresh()
        judge = await asyncpg.connect(shop.services.settings.database_url)
        for n in range(10):
            buying = [
                asyncio.create_task(shop.buy("1001", key=f"{n}-{m}", buyer_id=str(m))) for m in range(10)
            ]
            listing = asyncio.create_task(shop.http.get("/shopping/orders", headers=shop.login()))
            await judge.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'rushcart test%'"
            )
            assert {(await each).status_code for each in buying} <= {201, 503}
            assert (await listing).status_code in (200, 503)
        await judge.close()
        for n in range(10):
            for m in range(10):
                assert (await shop.buy("1001", key=f"{n}-{m}", buyer_id=str(m))).status_code == 201
        assert await shop.orders() == 100
        await shop.wait_settled()


async def test_a_migration_under_a_running_process_fails_no_order(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await put_sku(shop.services.pool, "1001")
        await put_flash_sale(
            shop.services.pool, "noon", "1001", price_minor=PRICE_MINOR, quantity=5, per_buyer_max=1
        )
        await shop.services.prices.refresh()
        sale = {"mode": "flash", "activity_id": "noon"}
        assert (await shop.buy("1001", key="before", **sale)).status_code == 201
        # The answer of a prepared statement changes its type: Postgres refuses to go on with it.
        await shop.services.pool.execute("ALTER TABLE purchase_limit ALTER quantity TYPE bigint")
        after = await shop.buy("1001", key="after", buyer_id="43", **sale)
        assert after.status_code == 201, after.text


async def test_opposite_carts_in_two_processes_never_deadlock(open_shop: OpenShop) -> None:
    async with open_shop() as one, open_shop() as other:
        for sku_id in ("1001", "1002", "1003"):
            await put_sku(one.services.pool, sku_id, on_hand=1_000)
        await one.services.prices.refresh()
        await other.services.prices.refresh()
        answers = await asyncio.gather(
            *[one.buy("1001", "1002", "1003", key=f"one-{n}", buyer_id=str(n % 7)) for n in range(150)],
            *[other.buy("1003", "1002", "1001", key=f"other-{n}", buyer_id=str(n % 7)) for n in range(150)],
        )
        assert {answer.status_code for answer in answers} == {201}
        assert await one.orders() == 300
        await one.services.pool.execute("SELECT pg_stat_force_next_flush()")
        assert await one.services.pool.fetchval(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        ) == 0  # fmt: skip
        await one.wait_settled()


async def test_an_order_that_the_database_refuses_fails_alone(open_shop: OpenShop) -> None:
    async with open_shop() as shop:
        await put_sku(shop.services.pool, "1001", on_hand=50)
        await shop.services.prices.refresh()
        await shop.services.pool.execute("ALTER TABLE orders ADD CONSTRAINT no_bad CHECK (memo <> 'bad')")
        answers = await asyncio.gather(
            *[
                shop.buy("1001", key=str(n), buyer_id=str(n), memo="bad" if n == 13 else "good")
                for n in range(40)
            ]
        )
        refused = [n for n, answer in enumerate(answers) if answer.status_code != 201]
        assert refused == [13]
        assert (answers[13].status_code, answers[13].json()["code"]) == (500, "internal_error")
        assert await shop.orders() == 39
        assert await shop.services.pool.fetchval("SELECT count(*) FROM idempotency") == 39
        await shop.wait_settled()


async def test_a_full_backlog_refuses_at_once_and_keeps_nothing(open_shop: OpenShop) -> None:
    async with open_shop(batch_size_max=1, lanes_max=1, backlog_max=3) as shop:
        await put_sku(shop.services.pool, "1001", on_hand=50)
        await shop.services.prices.refresh()
        judge = await asyncpg.connect(shop.services.settings.database_url)

        async def is_waiting_for_a_lock() -> bool:
            return bool(await judge.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        async with judge.transaction():
            await judge.execute("SELECT FROM stock_pool FOR UPDATE")  # the one lane waits here
            first = asyncio.create_task(shop.buy("1001", key="first"))
            await wait_until(is_waiting_for_a_lock)
            buying = [asyncio.create_task(shop.buy("1001", key=str(n), buyer_id=str(n))) for n in range(19)]

            async def refused() -> bool:
                return sum(each.done() for each in buying) == 16

            await wait_until(refused, limit_s=2.0)
            answers = [each.result() for each in buying if each.done()]
            assert {
                (each.status_code, each.json()["code"], each.headers["retry-after"]) for each in answers
            } == {(503, "overloaded", "1")}
            assert await shop.services.redis.hlen("gate:{7}:flight") == 4
        await judge.close()
        placed = [answer for answer in await asyncio.gather(first, *buying) if answer.status_code == 201]
        assert len(placed) == await shop.orders() == 4
        await shop.wait_settled()


async def test_a_key_whose_process_died_in_flight_gets_its_order_and_frees_the_gate(
    open_shop: OpenShop,
) -> None:
    async with open_shop() as shop:
        pool_id = await put_sku(shop.services.pool, "1001", on_hand=1)
        await shop.services.prices.refresh()
        # What a process leaves that is killed between the gate and the commit.
        dead = Reservation(key_digest(CALL, "42", "mine"), 9001, "7", "42", "0", [Want(pool_id, "1001", 1)])
        assert (await shop.services.gate.reserve(dead)).verdict is Verdict.RESERVED
        other = await shop.buy("1001", key="theirs", buyer_id="43")
        assert (other.status_code, other.json()["code"]) == (409, "out_of_stock")
        # "Sold out" is remembered now, and yet this key's own unit is there.
        mine = await shop.buy("1001", key="mine")
        assert mine.status_code == 201, mine.text
        assert await shop.orders() == 1
        await shop.wait_settled()


async def test_what_the_ledger_refuses_leaves_nothing_in_flight_and_no_limit_taken(
    open_shop: OpenShop,
) -> None:
    async with open_shop() as shop:
        await put_sku(shop.services.pool, "1001")
        pool_id = await put_flash_sale(
            shop.services.pool, "noon", "1001", price_minor=PRICE_MINOR, quantity=1, per_buyer_max=1
        )
        await shop.services.prices.refresh()
        wrong = {"free": 100, "version": 1, "flight": 0}
        await shop.services.redis.hset(f"gate:{{7}}:pool:{pool_id}", mapping=wrong)
        sale = {"mode": "flash", "activity_id": "noon"}
        answers = await asyncio.gather(
            *[shop.buy("1001", key="k", buyer_id=str(n), **sale) for n in range(20)]
        )
        assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
        await shop.wait_settled()
