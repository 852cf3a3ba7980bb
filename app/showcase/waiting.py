"""Groups that wait for members: those of many campaigns in one round trip."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from app.lib.postgres import Pool
from app.lib.sql import load
from app.showcase.schemas import WaitingGroup

sql = load("showcase")


class Wanted(NamedTuple):
    """At most `most` groups of a campaign that are older than the group `before_id`."""

    campaign_id: int
    before_id: int
    most: int


async def read_waiting(pool: Pool, wanted: Sequence[Wanted], now: datetime) -> list[list[WaitingGroup]]:
    """A list for each wanted, the newest group first."""
    found: list[list[WaitingGroup]] = [[] for _ in wanted]
    columns = map(list, zip(*wanted, strict=True))
    for number, group_id, *shown in await pool.fetch(sql.waiting_groups, *columns, now):
        found[number - 1].append(WaitingGroup(str(group_id), *shown))
    return found
