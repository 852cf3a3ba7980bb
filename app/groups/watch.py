"""Everyone who watches a group is sent each change of it.

A process reads for all its watchers together: Valkey's streams of events say at once which group has moved,
and a look at the ledger finds the rest every `LOOK_S` (a slot that was taken or lapsed, all of it when Valkey
is away). A group's state is held once; a watcher holds none, so a slow one skips states and costs no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec
import redis.asyncio as redis
import structlog

from app.events_out.keys import stream_key
from app.groups.errors import GroupNotFound
from app.groups.read import READ_MAX, read_groups
from app.groups.schemas import Group
from app.lib import metrics
from app.lib.batching import Batcher
from app.lib.clock import Clock
from app.lib.errors import Unavailable
from app.lib.event_stream import HEARTBEAT, frame
from app.lib.postgres import Pool
from app.lib.sql import load

log = structlog.get_logger()
sql = load("groups_seen")

# All events whose aggregate is a group that may be watched.
TOPICS = ("group.joined", "group.almost_full", "group.succeeded", "group.failed", "group.refunded")
# An open stream costs 26 KB of this process's memory (docs/performance.md): 130 MB in all.
WATCHERS_MAX = 5_000
# When a client that found no place may try again.
RETRY_AFTER_S = 10
# How old what no event tells of may be. Asking costs 5 µs a group.
LOOK_S = 2.0
# About 5 ms of one statement.
MARKS_MAX = 1_000
# Proxies close what is silent, the strictest after 30 s.
HEARTBEAT_S = 15.0
# When a process ends, its watchers come back spread over so long, not all at once.
RECONNECT_MS = (500, 5_000)
# A change wakes so many watchers, then lets other requests pass: each takes 0.1 ms to be sent its frame.
WAKE_AT_ONCE = 50
# Shorter than the client's own time-out (app/lib/valkey.py).
BLOCK_MS = 1_000
# Events taken from a stream at a time: in a rush there are more, and they follow at once.
HEARD_MAX = 1_000


class Watched:
    """A group that somebody watches, as it was last read."""

    def __init__(self, state: Group) -> None:
        self.state = state
        self.watchers: set[Watcher] = set()

    @property
    def mark(self) -> tuple[int, datetime, int]:
        """As `mark_groups` reads it."""
        return self.state.version, self.state.ends_at, self.state.members

    @property
    def over(self) -> bool:
        return self.state.status != "OPEN"

    async def show(self, state: Group) -> None:
        self.state = state
        for number, watcher in enumerate(list(self.watchers), start=1):
            watcher.news.set()
            if number % WAKE_AT_ONCE == 0:
                await asyncio.sleep(0)


class Watcher:
    """One client's frames: the state now, then each newer one, heartbeats between; until it is over."""

    def __init__(self, watching: Watching, group: Watched) -> None:
        self._watching = watching
        self._group = group
        self._begun = self._over = False
        self.news = asyncio.Event()
        self.news.set()

    def __aiter__(self) -> Watcher:
        return self

    async def __anext__(self) -> bytes:
        if self._over:
            raise StopAsyncIteration
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                await self.news.wait()
        except TimeoutError:
            return HEARTBEAT
        self.news.clear()
        if self._watching.stopping:
            raise StopAsyncIteration
        state = self._watching.dated(self._group.state)
        self._over = self._group.over
        told = frame("group", state.version, msgspec.json.encode(state))
        if not self._begun:
            self._begun = True
            told = b"retry: %d\n" % random.randint(*RECONNECT_MS) + told  # noqa: S311 - no secret
        return told

    def leave(self) -> None:
        """Safe to call twice."""
        self._watching.leave(self, self._group)


class Watching:
    """All watchers of a process. Reads while there are any; `stop` ends their streams."""

    def __init__(self, pool: Pool, client: redis.Redis, clock: Clock, base_url: str) -> None:
        self._pool = pool
        self._client = client
        self._clock = clock
        self._base_url = base_url
        self._groups: dict[int, Watched] = {}
        self._first_reads: Batcher[int, Group] = Batcher(
            self._read_first, name="watched-groups", size_max=READ_MAX, lanes_max=1, backlog_max=WATCHERS_MAX
        )
        # One at a time, so that what is read later is shown later.
        self._reading = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        # how far the streams have been read; empty: from now on
        self._heard: dict[str, str] = {}
        self.watchers = 0
        self.stopping = False

    async def watch(self, group_id: int, last_event_id: str | None = None) -> Watcher | None:
        """None where the group is over and the client has been told. Raises GroupNotFound, Unavailable."""
        self._check_place()
        group = self._groups.get(group_id) or Watched(await self._first_reads.submit(group_id))
        self._check_place()  # others came meanwhile
        if group.over and last_event_id == str(group.state.version):
            return None
        group = self._groups.setdefault(group_id, group)
        watcher = Watcher(self, group)
        group.watchers.add(watcher)
        self._count(+1)
        self._begin(self._listen, 0)
        self._begin(self.look, LOOK_S)
        return watcher

    def _check_place(self) -> None:
        if self.stopping:
            raise Unavailable("this process is stopping", code="stopping")
        if self.watchers >= WATCHERS_MAX:
            raise Unavailable("too many watch", code="too_many_watchers", retry_after_s=RETRY_AFTER_S)

    def leave(self, watcher: Watcher, group: Watched) -> None:
        if watcher in group.watchers:
            group.watchers.discard(watcher)
            self._count(-1)
            if not group.watchers:
                del self._groups[int(group.state.group_id)]

    def dated(self, state: Group) -> Group:
        """With the time of now, which the client counts down from."""
        return msgspec.structs.replace(state, now=self._clock.now())

    async def stop(self) -> None:
        """End all streams: their clients come back to another process. Safe to call twice."""
        self.stopping = True
        for group in list(self._groups.values()):
            await group.show(group.state)
        for task in self._tasks.values():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._first_reads.stop()

    def _count(self, change: int) -> None:
        self.watchers += change
        metrics.GROUP_WATCHERS.set(self.watchers)

    def _begin(self, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """Unless it goes on already."""
        name = step.__name__
        if name not in self._tasks or self._tasks[name].done():
            self._tasks[name] = asyncio.create_task(self._repeat(step, pause_s), name=name)

    async def _repeat(self, step: Callable[[], Awaitable[None]], pause_s: float) -> None:
        """While anybody watches. Being cancelled is not enough: redis-py can swallow it, and wait on."""
        while self._groups and not self.stopping:
            await asyncio.sleep(pause_s)
            try:
                await step()
            except Exception as error:  # Valkey or Postgres is away, as a rule
                log.warning("watching_interrupted", step=step.__name__, error=repr(error))
                self._heard = {}
                await asyncio.sleep(LOOK_S)

    async def _listen(self) -> None:
        """Groups that an event tells of are read at once. An event that is missed is found by the look."""
        heard = self._heard = self._heard or await self._ends_of_streams()
        told = await self._client.xread(heard, count=HEARD_MAX, block=BLOCK_MS)  # type: ignore[arg-type]
        moved = set()
        for key, entries in told:
            heard[key.decode()] = entries[-1][0].decode()
            moved |= {int(fields[b"aggregate_id"]) for _, fields in entries}
        await self._read_again(moved)

    async def _ends_of_streams(self) -> dict[str, str]:
        """From now on, by Valkey's clock, which numbers the entries."""
        seconds, microseconds = await self._client.time()
        return {stream_key(topic): f"{seconds * 1_000 + microseconds // 1_000}-0" for topic in TOPICS}

    async def look(self) -> None:
        """Read again what has moved by the ledger's word."""
        moved = set()
        group_ids = list(self._groups)
        for start in range(0, len(group_ids), MARKS_MAX):
            for group_id, *mark in await self._pool.fetch(
                sql.mark_groups, group_ids[start : start + MARKS_MAX]
            ):
                group = self._groups.get(group_id)
                if group is not None and group.mark != tuple(mark):
                    moved.add(group_id)
        await self._read_again(moved)

    async def _read_again(self, moved: set[int]) -> None:
        async with self._reading:
            watched = list(moved & self._groups.keys())
            states = await read_groups(self._pool, watched, self._clock.now(), self._base_url)
            for group_id, state in states.items():
                group = self._groups.get(group_id)
                if group is not None:
                    await group.show(state)

    async def _read_first(self, group_ids: list[int]) -> Sequence[Group | GroupNotFound]:
        wanted = list(set(group_ids))
        states = await read_groups(self._pool, wanted, self._clock.now(), self._base_url)
        return [states.get(each) or GroupNotFound() for each in group_ids]
