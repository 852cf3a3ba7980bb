"""A batch of group orders in the ledger: locks, `admit`, and one write.

Locks follow the global order: campaigns, groups, buyers, stock; each by id. The keys come last, with the
write, in the hope that they are new; only where one is not, all is done once more, and they are taken before
it is decided. Who takes a key has all locks by then, so that nobody who waits for it holds up its holder.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg
import msgspec
from msgspec import Struct

from app.addresses.schemas import AddressSnapshot
from app.groups.admit import (
    BuyerKey,
    GroupDraft,
    LockedCampaign,
    LockedGroup,
    LockedItem,
    Member,
    Numbers,
    Placed,
    admit,
)
from app.groups.schemas import GroupOrderPlaced
from app.groups.scripts import SlotFacts
from app.lib.commit import Committed, Outcome
from app.lib.errors import IdempotencyKeyReused
from app.lib.idempotency import (
    DOES_NOT_FIT,
    Answer,
    earlier_answers,
    keep_answers,
    release_keys,
    take_keys,
)
from app.lib.postgres import Connection, Pool, transaction
from app.lib.sql import load
from app.stock.scripts import PoolFact

sql = load("groups")
checkout_sql = load("checkout")

CREATED = 201
# A slot is given away only so long after its time: that is how late a provider's notification may come
# without a buyer who has paid in time being turned away.
GRACE = timedelta(seconds=15)
Earlier = Mapping[bytes, Answer | IdempotencyKeyReused]

encode = msgspec.json.Encoder().encode
_read_campaigns = msgspec.json.Decoder(list[LockedCampaign]).decode
_read_items = msgspec.json.Decoder(list[LockedItem]).decode
_read_groups = msgspec.json.Decoder(list[LockedGroup]).decode
_read_members = msgspec.json.Decoder(list[tuple[int, Member]]).decode
_read_pools = msgspec.json.Decoder(list[tuple[int, int]]).decode


class Changed(NamedTuple):
    """What the gates must learn of a transaction."""

    pools: list[PoolFact]
    groups: list[SlotFacts]


class GroupOrderRow(Struct, gc=False):
    """An order with its line and what makes it a group's, as `write_group_orders` reads it."""

    order_id: int
    line_id: int
    buyer_id: str
    shop_id: str
    currency: str
    sku_id: str
    title: str
    item_type: str
    pool_id: int
    # its goods are reserved from the start
    held: bool
    quantity: int
    price_minor: int
    settlement_price_minor: int
    campaign_id: int
    campaign_item_id: int
    group_id: int | None
    slot: int | None
    join_other: bool
    address: AddressSnapshot | None
    created_at: datetime
    pay_deadline: datetime


async def place_batch(
    pool: Pool, drafts: Sequence[GroupDraft], now: datetime, pay_timeout: timedelta
) -> Committed[Changed]:
    """Decide each draft and write those that are placed, in one transaction. Raises Postgres' errors."""
    try:
        async with transaction(pool) as connection:
            return await _place(connection, drafts, now, pay_timeout, keys_held=False)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name not in DOES_NOT_FIT:
            raise
    async with transaction(pool) as connection:
        return await _place(connection, drafts, now, pay_timeout, keys_held=True)


async def _place(
    connection: Connection,
    drafts: Sequence[GroupDraft],
    now: datetime,
    pay_timeout: timedelta,
    *,
    keys_held: bool,
) -> Committed[Changed]:
    numbers = await lock(connection, drafts)
    earlier: Earlier = await take_keys(connection, [each.once for each in drafts]) if keys_held else {}
    new = [each for each in drafts if each.once.digest not in earlier]
    refusals, placed = admit(new, numbers, now)
    outcomes: dict[bytes, Outcome] = {}
    rows, answers = [], {}
    for draft, refusal in zip(new, refusals, strict=True):
        if refusal is not None:
            outcomes[draft.once.digest] = refusal
            continue
        deadline = _deadline(draft, numbers, now, pay_timeout)
        answers[draft.once.digest] = Answer(CREATED, encode(_reply(draft, placed, deadline)))
        rows.append((draft, deadline))
    if outcomes and keys_held:
        await release_keys(connection, list(outcomes))
    elif outcomes:  # a key that has placed an order gets it, whatever would refuse it now
        refused = [each.once for each in new if each.once.digest in outcomes]
        earlier = await earlier_answers(connection, refused)
    outcomes |= answers
    outcomes |= earlier
    pools = await _write(connection, rows, placed, {} if keys_held else answers) if rows else []
    if keys_held:
        await keep_answers(connection, answers)
    joined = {draft.group_id for draft, _ in rows}
    groups = [_facts(group, joined) for group in numbers.groups.values()]
    return Committed([outcomes[each.once.digest] for each in drafts], [Changed(pools, groups)])


def _facts(group: LockedGroup, joined: Collection[int | None]) -> SlotFacts:
    """As it is after the commit."""
    version = group.slots_version + (group.group_id in joined)
    members = [(member.buyer_id, member.order_id) for member in group.members]
    return SlotFacts(group.group_id, version, group.status, group.slots, group.ends_at, members)


async def lock_groups(connection: Connection, group_ids: Sequence[int]) -> dict[int, LockedGroup]:
    """The groups with their living members, locked."""
    rows = await connection.fetch(sql.lock_groups, group_ids)
    groups = {
        row["group_id"]: LockedGroup(
            row["group_id"],
            row["campaign_id"],
            row["status"],
            row["slots"],
            row["ends_at"],
            row["stock_locked"],
            row["slots_version"],
        )
        for row in rows
    }
    for row in await connection.fetch(sql.read_members, group_ids) if rows else ():
        held = row["reserve_on"] == "place"
        groups[row["group_id"]].members.append(
            Member(row["order_id"], row["buyer_id"], row["slot"], row["pool_id"], row["quantity"], held)
        )
    return groups


async def lock(connection: Connection, drafts: Sequence[GroupDraft], others: Sequence[int] = ()) -> Numbers:
    """All that these drafts may change, and the groups `others`, locked in the global order."""
    group_ids = {each.group_id for each in drafts if each.group_id is not None} | set(others)
    row = await connection.fetchrow(
        sql.lock_for_orders,
        list({each.offer.campaign_id for each in drafts}),
        list({each.offer.campaign_item_id for each in drafts}),
        list(group_ids),
    )
    assert row is not None, "one row, whatever is there"
    campaigns = {each.campaign_id: each for each in _read_campaigns(row["campaigns"])}
    items = {each.campaign_item_id: each for each in _read_items(row["items"])}
    groups = {each.group_id: each for each in _read_groups(row["groups"])}
    limited = {
        (each.offer.campaign_id, each.buyer_id)
        for each in drafts
        if campaigns[each.offer.campaign_id].counts_buyers
    }
    buyers = await _count_buyers(connection, sorted(limited)) if limited else {}
    pool_ids = list({each.offer.pool_id for each in drafts})
    row = await connection.fetchrow(sql.read_members_lock_pools, list(groups), pool_ids)
    assert row is not None, "one row, whatever is there"
    for group_id, member in _read_members(row["members"]):
        groups[group_id].members.append(member)
    return Numbers(campaigns, items, groups, buyers, dict(_read_pools(row["pools"])))


async def _count_buyers(connection: Connection, keys: Sequence[BuyerKey]) -> dict[BuyerKey, tuple[int, int]]:
    await connection.execute(sql.hold_buyers, [f"{campaign_id} {buyer_id}" for campaign_id, buyer_id in keys])
    rows = await connection.fetch(sql.count_buyers, *map(list, zip(*keys, strict=True)))
    return {(row["campaign_id"], row["buyer_id"]): (row["quantity"], row["open_groups"]) for row in rows}


def _deadline(draft: GroupDraft, numbers: Numbers, now: datetime, pay_timeout: timedelta) -> datetime:
    """The payment deadline or the group's end, whichever is first; for who starts one, the campaign's."""
    ends_at = numbers.campaigns[draft.offer.campaign_id].ends_at
    if draft.group_id is not None:
        ends_at = numbers.groups[draft.group_id].ends_at
    return min(now + pay_timeout, ends_at)


def _reply(draft: GroupDraft, placed: Placed, deadline: datetime) -> GroupOrderPlaced:
    return GroupOrderPlaced(
        str(draft.order_id),
        None if draft.group_id is None else str(draft.group_id),
        placed.slots[draft.order_id],
        "UNPAID",
        draft.offer.currency,
        draft.payable_minor,
        deadline,
        draft.offer.stock_policy,  # type: ignore[arg-type]  # a CHECK of the campaign
    )


async def _write(
    connection: Connection,
    drafts: Sequence[tuple[GroupDraft, datetime]],
    placed: Placed,
    answers: Mapping[bytes, Answer],
) -> list[PoolFact]:
    """`answers`: those whose keys are written with the orders."""
    held = {each.order_id for each in placed.holders}
    once = [draft.once for draft, _ in drafts if draft.once.digest in answers]
    rows = await connection.fetch(
        sql.write_group_orders,
        [each.digest for each in once],
        [each.caller_id for each in once],
        [each.request_hash for each in once],
        [answers[each.digest].body for each in once],
        encode([_row(draft, placed, deadline, held) for draft, deadline in drafts]).decode(),
        list({draft.group_id for draft, _ in drafts if draft.group_id is not None}),
        *_reserved(placed),
    )
    return _pool_facts([draft for draft, _ in drafts], rows)


async def reserve(connection: Connection, drafts: Sequence[GroupDraft], placed: Placed) -> list[PoolFact]:
    """What the placed ones hold, for orders that are all there already."""
    if not placed.holders:
        return []
    groups = list({each.group_id for each in drafts if each.group_id is not None})
    rows = await connection.fetch(sql.write_group_orders, [], [], [], [], "[]", groups, *_reserved(placed))
    return _pool_facts(drafts, rows)


def _reserved(placed: Placed) -> tuple[list[int], ...]:
    """As the last parameters of `write_group_orders`."""
    holders = placed.holders
    return (
        placed.locked_ids,
        [each.order_id for each in holders],
        [each.pool_id for each in holders],
        [each.quantity for each in holders],
        list(placed.reserved),
        list(placed.reserved.values()),
    )


def _pool_facts(drafts: Sequence[GroupDraft], rows: Sequence[asyncpg.Record]) -> list[PoolFact]:
    shops = {each.offer.pool_id: each.offer.shop_id for each in drafts}
    other = drafts[0].offer.shop_id
    return [PoolFact(shops.get(row["pool_id"], other), *row) for row in rows]


def _row(draft: GroupDraft, placed: Placed, deadline: datetime, held: Collection[int]) -> GroupOrderRow:
    offer = draft.offer
    return GroupOrderRow(
        draft.order_id,
        draft.line_id,
        draft.buyer_id,
        offer.shop_id,
        offer.currency,
        offer.sku_id,
        offer.title,
        offer.item_type,
        offer.pool_id,
        draft.order_id in held,
        draft.quantity,
        offer.sale_price_minor,
        offer.settlement_price_minor,
        offer.campaign_id,
        offer.campaign_item_id,
        draft.group_id,
        placed.slots[draft.order_id],
        draft.join_other,
        draft.address,
        draft.created_at,
        deadline + GRACE,
    )
