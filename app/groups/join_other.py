"""A place in another open group of the campaign, for who has paid too late and has agreed to that beforehand.

Enters strays whose orders the caller has locked; leaves those for whom there is no place, whose money goes
back in the same transaction. What refuses a new member (a limit, the stock, one slot a buyer) refuses them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import asyncpg

from app.groups.admit import GroupDraft, LockedGroup, Numbers, Offer, Placed, admit_one
from app.groups.ledger import lock, reserve, sql
from app.groups.members import Joined, joined_events
from app.lib import outbox
from app.lib.idempotency import Once
from app.lib.postgres import Connection
from app.payments.aftermath import Aftermath

CALL = "groupbuy/join_other"
# Groups looked at beside one for each stray: some may be refused to a buyer who is in them already.
SPARE_GROUPS = 20


async def join_others(
    connection: Connection, order_ids: Sequence[int], now: datetime, aftermath: Aftermath
) -> list[int]:
    """Those of the orders that are strays still, and for which there is no other group."""
    found = await connection.fetch(sql.lock_strays, order_ids)
    strays = [row for row in found if row["may_join"]]
    have_place = await _join(connection, strays, now, aftermath) if strays else set()
    return [row["order_id"] for row in found if row["order_id"] not in have_place]


async def _join(
    connection: Connection, strays: Sequence[asyncpg.Record], now: datetime, aftermath: Aftermath
) -> set[int]:
    """Those that have a place now."""
    offers = await _read_offers(connection, strays)
    drafts = {stray["order_id"]: _draft(stray, offers[stray["campaign_item_id"]]) for stray in strays}
    campaign_ids = sorted({stray["campaign_id"] for stray in strays})
    near = await connection.fetch(sql.groups_with_places, campaign_ids, now, len(strays) + SPARE_GROUPS)
    wanted = {row["group_id"] for row in near} | {stray["late_for"] for stray in strays if stray["late_for"]}
    numbers = await lock(connection, list(drafts.values()), sorted(wanted))
    for draft in drafts.values():  # what a stray has taken of its limits is its own
        numbers.forget_own(draft)
    placed = Placed({}, defaultdict(int), [], [])
    for stray in strays:
        _find_place(drafts[stray["order_id"]], stray["late_for"], numbers, placed, now)
    have_place = [drafts[order_id] for order_id in placed.slots]
    if have_place:
        await _write(connection, have_place, strays, placed, aftermath)
    return set(placed.slots)


async def _read_offers(connection: Connection, strays: Iterable[asyncpg.Record]) -> dict[int, Offer]:
    rows = await connection.fetch(sql.read_offers, sorted({stray["campaign_item_id"] for stray in strays}))
    return {row["campaign_item_id"]: Offer(**row) for row in rows}


def _draft(stray: asyncpg.Record, offer: Offer) -> GroupDraft:
    """As if it were a new order; what it costs is paid already."""
    once = Once(CALL, stray["buyer_id"], b"", b"")
    numbers = (stray["quantity"], stray["payable_minor"], None)
    return GroupDraft(once, stray["order_id"], 0, offer, *numbers, True, None, stray["created_at"])


def _find_place(
    draft: GroupDraft, late_for: int | None, numbers: Numbers, placed: Placed, now: datetime
) -> None:
    """The group that it was for, should it have a place again; else the nearest to full, then to its end."""

    def rank(entry: tuple[int, LockedGroup]) -> tuple[bool, int, datetime, int]:
        group_id, group = entry
        return group_id != late_for, group.slots - len(group.members), group.ends_at, group_id

    for group_id, _ in sorted(numbers.groups.items(), key=rank):
        draft.group_id = group_id
        if admit_one(draft, numbers, placed, now) is None:
            return


async def _write(
    connection: Connection,
    drafts: Sequence[GroupDraft],
    strays: Sequence[asyncpg.Record],
    placed: Placed,
    aftermath: Aftermath,
) -> None:
    late_for = {stray["order_id"]: stray["late_for"] for stray in strays}
    joined = [
        Joined(
            draft.order_id,
            draft.group_id or 0,
            draft.buyer_id,
            placed.slots[draft.order_id] or 0,
            late_for[draft.order_id],
        )
        for draft in drafts
    ]
    counted = await connection.fetch(
        sql.place_strays,
        [each.order_id for each in joined],
        [each.group_id for each in joined],
        [each.slot for each in joined],
    )
    aftermath.pools += await reserve(connection, drafts, placed)
    aftermath.group_ids += [row["group_id"] for row in counted]
    await outbox.append(connection, joined_events(joined, counted))
