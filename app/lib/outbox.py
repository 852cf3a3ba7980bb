"""Events out: written in the same commit as what they tell of (design: transactional outbox)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("outbox")


class Event(NamedTuple):
    """`version` is the aggregate's after the change; readers get one aggregate's events in its order."""

    topic: str
    aggregate_id: int
    version: int
    payload: dict[str, Any]


async def append(connection: Connection, events: Sequence[Event]) -> None:
    """Write events inside the caller's transaction."""
    if events:
        topics, ids, versions, payloads = zip(*events, strict=True)
        await connection.execute(sql.append_events, topics, ids, versions, payloads)
