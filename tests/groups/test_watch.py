"""Everyone who watches a group is sent each change, with Valkey or without, and costs little."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import httpx
import msgspec
import pytest

from app.events_out.relay import export_all
from app.groups import watch
from app.groups.settle import settle_due
from app.groups.watch import TOPICS, Watching
from app.lib.errors import Unavailable
from app.lib.hot import Front
from app.lib.valkey import open_client
from tests.groups.conftest import Shop
from tests.sandbox.process import free_port, serving
from tests.test_tidy import ROOT
from tests.waiting import wait_until

NEVER_S = 3_600.0
SOON_S = 0.02
WAIT_S = 10.0


class Client:
    """Reads a stream event by event."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, Any]:
        """(id, the group)."""
        told: dict[str, str] = {}
        async with asyncio.timeout(WAIT_S):
            while (line := await anext(self._lines)) or "data" not in told:
                name, _, value = line.partition(": ")
                told[name] = value
        assert told["event"] == "group"
        return told["id"], msgspec.json.decode(told["data"])

    async def line(self) -> str:
        async with asyncio.timeout(WAIT_S):
            return await anext(self._lines)

    async def ends(self) -> bool:
        async with asyncio.timeout(WAIT_S):
            return [line async for line in self._lines] == []


class Door:
    """The way in for clients that watch: a server on a port."""

    def __init__(self, address: str) -> None:
        self.address = address

    @asynccontextmanager
    async def watching(self, group_id: str, **headers: str) -> AsyncIterator[Client]:
        path = f"{self.address}/groupbuy/groups/{group_id}/stream"
        async with (
            httpx.AsyncClient(trust_env=False) as http,
            http.stream("GET", path, headers=headers) as answer,
        ):
            yield Client(answer)


@pytest.fixture
async def door(front: Front) -> AsyncIterator[Door]:
    port = free_port()
    async with serving(front, port):
        yield Door(f"http://127.0.0.1:{port}")


async def settle(shop: Shop) -> None:
    await settle_due(shop.services, shop.clock.now(), 100)


async def test_everyone_who_watches_is_sent_each_change_and_the_end(
    shop: Shop, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_S", NEVER_S)  # the events alone must do
    await shop.open()
    group_id = await shop.paid("ann")
    async with door.watching(group_id) as one, door.watching(group_id) as two:
        for client in (one, two):
            assert client.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert client.answer.headers["cache-control"] == "no-store"
            number, group = await client.next()
            assert (number, group["members_paid"], group["status"]) == ("1", 1, "OPEN")
        await listening(shop)
        await shop.paid("bo", group_id)
        await export_all(shop.services)
        for client in (one, two):
            number, group = await client.next()
            assert (number, group["members_paid"]) == (str(group["version"]), 2)
            assert [member["name"] for member in group["shown_members"]] == ["***", "***"]
        await shop.services.redis.flushall()
        await shop.paid("cy", group_id)
        await settle(shop)
        await export_all(shop.services)
        for client in (one, two):
            group = {"status": "OPEN"}
            while group["status"] == "OPEN":
                number, group = await client.next()
            assert (group["status"], group["members_paid"]) == ("SUCCEEDED", 3)
            assert await client.ends()
    assert shop.services.watching.watchers == 0


async def listening(shop: Shop) -> None:
    """Until the process waits at Valkey's streams."""

    async def blocked() -> bool:
        return any("xread" in each["cmd"] for each in await shop.services.redis.client_list())

    await wait_until(blocked)


async def test_a_look_at_the_ledger_finds_what_no_event_tells(
    shop: Shop, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_S", SOON_S)
    await shop.open()
    group_id = await shop.paid("ann")
    async with door.watching(group_id) as client:
        await client.next()
        order = await shop.order("bo", group_id)
        assert (await client.next())[1]["members"] == 2
        await shop.call(shop.login("bo"), "POST", f"/shopping/orders/{order['order_id']}/cancel")
        assert (await client.next())[1]["members"] == 1
        sooner = "UPDATE buy_group SET ends_at = ends_at - interval '1 minute' RETURNING ends_at"
        ends_at = await shop.services.pool.fetchval(sooner)
        assert datetime.fromisoformat((await client.next())[1]["ends_at"]) == ends_at


async def test_without_valkey_the_looks_go_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_S", SOON_S)
    await shop.open()
    group_id = await shop.paid("ann")
    nobody = open_client(f"redis://127.0.0.1:{free_port()}", connections_max=1)
    watching = Watching(shop.services.pool, nobody, shop.clock, "http://rushcart.test")
    try:
        watcher = await watching.watch(int(group_id))
        assert watcher is not None
        assert b'"members_paid":1' in await anext(watcher)
        await shop.paid("bo", group_id)
        told = b""
        async with asyncio.timeout(WAIT_S):
            while b'"members_paid":2' not in told:
                told = await anext(watcher)
    finally:
        await watching.stop()


async def test_a_slow_watcher_skips_states_and_keeps_none(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_S", NEVER_S)
    monkeypatch.setattr(watch, "HEARTBEAT_S", SOON_S)
    await shop.open()
    group_id = await shop.paid("ann")
    watching = shop.services.watching
    watcher = await watching.watch(int(group_id))
    assert watcher is not None
    await anext(watcher)
    order_id = ""
    for number in range(9):
        if number:
            await shop.call(shop.login("bo"), "POST", f"/shopping/orders/{order_id}/cancel")
        await watching.look()
        order_id = (await shop.order("bo", group_id))["order_id"]
        await watching.look()
    assert b'"members":2' in await anext(watcher)
    assert await anext(watcher) == b":\n\n"
    watcher.leave()
    watcher.leave()
    assert watching.watchers == 0


async def test_silence_is_broken_by_heartbeats(
    shop: Shop, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HEARTBEAT_S", SOON_S)
    await shop.open()
    async with door.watching(await shop.paid("ann")) as client:
        assert re.fullmatch(r"retry: \d+", await client.line())
        await client.next()
        assert [await client.line() for _ in range(4)] == [":", "", ":", ""]


async def test_more_watchers_than_a_process_may_have_are_told_when_to_come_back(
    shop: Shop, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "WATCHERS_MAX", 2)
    await shop.open()
    group_id = await shop.paid("ann")
    async with door.watching(group_id) as one:
        await one.next()
        async with door.watching(group_id) as two, door.watching(group_id) as three:
            await two.next()
            assert three.answer.status_code == 503
            assert three.answer.headers["retry-after"] == "10"
            problem = msgspec.json.decode(await three.answer.aread())
            assert (problem["code"], problem["retry_after_s"]) == ("too_many_watchers", 10)

        async def released() -> bool:
            return shop.services.watching.watchers == 1

        await wait_until(released)
        async with door.watching(group_id) as again:
            await again.next()


async def test_a_group_that_is_over_is_told_once(shop: Shop, door: Door) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    for buyer in ("bo", "cy"):
        await shop.paid(buyer, group_id)
    await settle(shop)
    async with door.watching(group_id) as client:
        number, group = await client.next()
        assert group["status"] == "SUCCEEDED"
        assert await client.ends()
    async with door.watching(group_id, **{"last-event-id": number}) as client:
        assert client.answer.status_code == 204
    async with door.watching("1") as client:
        assert client.answer.status_code == 404
    assert shop.services.watching.watchers == 0


async def test_a_process_that_stops_ends_its_streams_and_takes_no_more(shop: Shop, door: Door) -> None:
    await shop.open()
    group_id = await shop.paid("ann")
    watching = shop.services.watching
    watcher = await watching.watch(int(group_id))
    assert watcher is not None
    async with door.watching(group_id) as client:
        await client.next()
        await watching.stop()
        assert await client.ends()
    with pytest.raises(Unavailable) as refused:
        await watching.watch(int(group_id))
    assert refused.value.code == "stopping"
    watcher.leave()


def test_every_event_of_a_group_that_may_be_watched_wakes_its_watchers() -> None:
    named = {
        topic
        for path in (ROOT / "app" / "groups").glob("*.py")
        for topic in re.findall(r'Event\(\s*"(group\.\w+)"', path.read_text())
    }
    assert named - {"group.started"} <= set(TOPICS)
