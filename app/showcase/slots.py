"""The home page's places: operators fill them with campaigns, buyers see of them what is on sale now.

The document is replaced whole and each one is kept, with who put it and when; the same again changes nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.bootstrap import Services
from app.campaigns.errors import CampaignNotFound
from app.lib.auth import Caller
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer
from app.lib.page import Page
from app.lib.postgres import Connection, Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.showcase.errors import CampaignNotListed
from app.showcase.schemas import HomePage, HomeSlot, NoFilter, Slots, SlotsDocument
from app.showcase.waiting import sql

_encode = msgspec.json.Encoder().encode


async def put_slots(services: Services, op: Caller, wanted: SlotsDocument) -> Slots:
    """Raises CampaignNotFound and CampaignNotListed, each with the `campaign_ids`."""
    async with transaction(services.pool) as connection:
        version = await lock_version(connection, "campaigns")
        current = await read_slots(connection)
        if current.version is not None and current.slots == wanted.slots:
            return current
        await _check(connection, wanted)
        await connection.execute(sql.insert_slots, version, wanted, op.sub, services.clock.now())
        await publish_version(connection, "campaigns", version)
        changed = await read_slots(connection)
    await services.shelf.refresh()
    return changed


async def read_slots(connection: Connection | Pool) -> Slots:
    row = await connection.fetchrow(sql.current_slots)
    return Slots([], None, None, None) if row is None else _slots(row)


async def list_changes(pool: Pool, before_version: int, limit: int) -> Page[Slots]:
    """What the places were, the newest first."""
    rows = await pool.fetch(sql.slots_before, before_version, limit + 1)
    return Page.cut([_slots(row) for row in rows], limit, lambda slots: slots.version or "")


async def show_home_page(services: Services, _: HotRequest[NoFilter]) -> Answer:
    """The home page's places whose time it is, in order, with what is on sale now; none that is empty."""
    now = services.clock.now()
    shown = []
    for slot in services.shelf.campaigns.slots.slots:
        if slot.is_open(now):
            campaigns = await services.shelf.of_campaigns([int(each) for each in slot.campaign_ids])
            if campaigns:
                shown.append(HomeSlot(slot.name, slot.ends_at, campaigns))
    return Answer(200, _encode(HomePage(shown)))


async def _check(connection: Connection, wanted: SlotsDocument) -> None:
    asked = {int(each) for slot in wanted.slots for each in slot.campaign_ids}
    rows = await connection.fetch(sql.campaigns_listed, list(asked))
    listed = {row["campaign_id"]: row["listed"] for row in rows}
    if unknown := sorted(asked - listed.keys()):
        raise CampaignNotFound(campaign_ids=list(map(str, unknown)))
    if hidden := sorted(one for one, is_listed in listed.items() if not is_listed):
        raise CampaignNotListed(campaign_ids=list(map(str, hidden)))


def _slots(row: Any) -> Slots:
    document = msgspec.convert(row["document"], SlotsDocument)
    return Slots(document.slots, str(row["version"]), row["by_id"], row["at"])
