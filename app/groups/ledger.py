"""A batch of group orders in the ledger: keys, locks, `admit`, and one write, in the caller's transaction.

Locks follow the global order: keys, campaigns, groups, buyers, stock; each by id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg
from msgspec.json import encode

from app.checkout.schemas import LineDraft, OrderDraft
from app.groups.admit import BuyerKey, GroupDraft, LockedGroup, Member, Numbers, Placed, admit
from app.groups.schemas import GroupOrderPlaced
from app.groups.scripts import SlotFacts
from app.lib.errors import AppError
from app.lib.idempotency import Answer, keep_answers, release_keys, take_keys
from app.lib.postgres import Connection
from app.lib.sql import load
from app.stock.scripts import PoolFact

sql = load("groups")
checkout_sql = load("checkout")
orders_sql = load("orders")

CREATED = 201
# A slot is given away only so long after its time: that is how late a provider's notification may come
# without a buyer who has paid in time being turned away.
GRACE = timedelta(seconds=15)
GROUP_MODE = "group"
Outcome = Answer | AppError


class BatchResult(NamedTuple):
    """One outcome per draft, in order; and what the gates must learn."""

    outcomes: list[Outcome]
    pools: list[PoolFact]
    groups: list[SlotFacts]


async def place_batch(
    connection: Connection, drafts: Sequence[GroupDraft], now: datetime, pay_timeout: timedelta
) -> BatchResult:
    """Decide each draft and write those that are placed."""
    earlier = await take_keys(connection, [each.once for each in drafts])
    outcomes: dict[bytes, Outcome] = dict(earlier)
    new = [each for each in drafts if each.once.digest not in outcomes]
    numbers = await lock(connection, new)
    refusals, placed = admit(new, numbers, now)
    answers: dict[bytes, Answer] = {}
    taken = []
    for draft, refusal in zip(new, refusals, strict=True):
        if refusal is not None:
            outcomes[draft.once.digest] = refusal
            continue
        deadline = _deadline(draft, numbers, now, pay_timeout)
        answers[draft.once.digest] = Answer(CREATED, encode(_reply(draft, placed, deadline)))
        taken.append((draft, deadline))
    pools = await _write(connection, taken, numbers, placed) if taken else []
    await keep_answers(connection, answers)
    await release_keys(connection, [each.once.digest for each in new if each.once.digest in outcomes])
    outcomes |= answers
    joined = {draft.group_id for draft, _ in taken}
    groups = [_facts(group_id, group, joined) for group_id, group in numbers.groups.items()]
    return BatchResult([outcomes[each.once.digest] for each in drafts], pools, groups)


def _facts(group_id: int, group: LockedGroup, joined: Collection[int | None]) -> SlotFacts:
    """As it is after the commit."""
    version = group.slots_version + (group_id in joined)
    members = [(member.buyer_id, member.order_id) for member in group.members]
    return SlotFacts(group_id, version, group.status, group.slots, group.ends_at, members)


async def lock_groups(connection: Connection, group_ids: Sequence[int]) -> dict[int, LockedGroup]:
    """The groups with their living members, locked."""
    rows = await connection.fetch(sql.lock_groups, group_ids)
    members: dict[int, list[Member]] = defaultdict(list)
    for row in await connection.fetch(sql.read_members, group_ids) if rows else ():
        held = row["reserve_on"] == "place"
        members[row["group_id"]].append(
            Member(row["order_id"], row["buyer_id"], row["slot"], row["pool_id"], row["quantity"], held)
        )
    return {
        row["group_id"]: LockedGroup(
            row["campaign_id"],
            row["status"],
            row["slots"],
            row["ends_at"],
            row["stock_locked"],
            row["slots_version"],
            members[row["group_id"]],
        )
        for row in rows
    }


async def lock(connection: Connection, drafts: Sequence[GroupDraft], others: Sequence[int] = ()) -> Numbers:
    """All that these drafts may change, and the groups `others`, locked in the global order."""
    campaign_ids = sorted({each.offer.campaign_id for each in drafts})
    campaigns = {row["campaign_id"]: row for row in await connection.fetch(sql.share_campaigns, campaign_ids)}
    item_ids = sorted({each.offer.campaign_item_id for each in drafts})
    items = {row["campaign_item_id"]: row for row in await connection.fetch(sql.share_items, item_ids)}
    group_ids = sorted({each.group_id for each in drafts if each.group_id is not None} | set(others))
    groups = await lock_groups(connection, group_ids) if group_ids else {}
    limited = sorted(
        {
            (each.offer.campaign_id, each.buyer_id)
            for each in drafts
            if _counts(campaigns[each.offer.campaign_id])
        }
    )
    buyers = await _count_buyers(connection, limited) if limited else {}
    pool_ids = {each.offer.pool_id for each in drafts}
    pool_ids |= {member.pool_id for group in groups.values() for member in group.members}
    free = {}
    for pool_id, on_hand, reserved, _, closed in await connection.fetch(
        checkout_sql.lock_pools, sorted(pool_ids)
    ):
        free[pool_id] = 0 if closed else on_hand - reserved
    return Numbers(campaigns, items, groups, buyers, free)


def _counts(campaign: asyncpg.Record) -> bool:
    return campaign["per_buyer_max"] is not None or campaign["groups_at_once_max"] is not None


async def _count_buyers(connection: Connection, keys: Sequence[BuyerKey]) -> dict[BuyerKey, tuple[int, int]]:
    await connection.execute(sql.hold_buyers, [f"{campaign_id} {buyer_id}" for campaign_id, buyer_id in keys])
    rows = await connection.fetch(sql.count_buyers, *map(list, zip(*keys, strict=True)))
    return {(row["campaign_id"], row["buyer_id"]): (row["quantity"], row["open_groups"]) for row in rows}


def _deadline(draft: GroupDraft, numbers: Numbers, now: datetime, pay_timeout: timedelta) -> datetime:
    """The payment deadline or the group's end, whichever is first; for who starts one, the campaign's."""
    ends_at: datetime = numbers.campaigns[draft.offer.campaign_id]["ends_at"]
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
    connection: Connection, taken: Sequence[tuple[GroupDraft, datetime]], numbers: Numbers, placed: Placed
) -> list[PoolFact]:
    drafts = [draft for draft, _ in taken]
    held = {
        member.order_id for group in numbers.groups.values() for member in group.members if member.held
    } | {each.order_id for each in drafts if each.offer.stock_policy == "each_member"}
    await connection.fetch(
        checkout_sql.write_orders,
        encode([_order(draft, deadline + GRACE) for draft, deadline in taken]).decode(),
        encode([_line(draft, held=draft.order_id in held) for draft in drafts]).decode(),
        *([],) * 7,
    )
    await connection.execute(
        sql.insert_group_orders,
        [each.order_id for each in drafts],
        [each.offer.campaign_id for each in drafts],
        [each.offer.campaign_item_id for each in drafts],
        [each.buyer_id for each in drafts],
        [each.quantity for each in drafts],
        [each.offer.settlement_price_minor for each in drafts],
        [each.group_id for each in drafts],
        [placed.slots[each.order_id] for each in drafts],
        [each.join_other for each in drafts],
    )
    new_ids = {each.order_id for each in drafts}
    locked = [member for members in placed.locked_members.values() for member in members]
    earlier = [member for member in locked if member.order_id not in new_ids]
    return await reserve(connection, drafts, placed, earlier)


async def reserve(
    connection: Connection, drafts: Sequence[GroupDraft], placed: Placed, earlier: Sequence[Member]
) -> list[PoolFact]:
    """Reserve what the placed ones hold; `earlier`: of whose orders that are there already."""
    if not placed.reserved:
        return []
    if placed.locked_members:
        await connection.execute(sql.set_locked, list(placed.locked_members), True)
    if earlier:
        await connection.execute(sql.hold_lines, [each.order_id for each in earlier], "place")
        columns = zip(
            *[(each.pool_id, "reserve", 0, each.quantity, each.order_id) for each in earlier], strict=True
        )
        await connection.execute(orders_sql.insert_movements, *map(list, columns))
    pools = list(placed.reserved)
    units = list(placed.reserved.values())
    rows = await connection.fetch(orders_sql.change_pools, pools, [0] * len(pools), units)
    shops = {each.offer.pool_id: each.offer.shop_id for each in drafts}
    shop_id = drafts[0].offer.shop_id
    return [
        PoolFact(shops.get(row["pool_id"], shop_id), row["pool_id"], row["free"], row["version"])
        for row in rows
    ]


def _order(draft: GroupDraft, pay_deadline: datetime) -> OrderDraft:
    offer = draft.offer
    return OrderDraft(
        draft.order_id,
        None,
        draft.buyer_id,
        offer.shop_id,
        offer.currency,
        draft.payable_minor,
        0,
        draft.payable_minor,
        GROUP_MODE,
        f"campaign:{offer.campaign_id}",
        None,
        None,
        None,
        None,
        draft.created_at,
        address=draft.address,
        pay_deadline=pay_deadline,
    )


def _line(draft: GroupDraft, *, held: bool) -> LineDraft:
    offer = draft.offer
    return LineDraft(
        draft.order_id,
        draft.line_id,
        offer.sku_id,
        offer.title,
        offer.item_type,
        offer.pool_id,
        "place" if held else "group",
        draft.quantity,
        offer.sale_price_minor,
        offer.sale_price_minor,
        draft.payable_minor,
        0,
        draft.payable_minor,
    )
