"""Who of a batch gets a slot: the decision over the rows that the transaction has locked.

Pure. `admit` walks the drafts one by one and takes what a placed one needs from the numbers, so that the next
one sees what is left. It leaves what must be reserved: of a draft itself (`each_member`), or of a whole group
whose last slot it takes (`last_member`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from app.addresses.schemas import AddressSnapshot
from app.checkout.errors import ActivityEnded, OutOfStock, PriceChanged, PurchaseLimitExceeded
from app.groups.errors import (
    AlreadyMember,
    GroupFull,
    GroupNotFound,
    GroupOver,
    TooManyGroups,
)
from app.lib.errors import AppError
from app.lib.idempotency import Once

EACH_MEMBER, LAST_MEMBER = "each_member", "last_member"
# (campaign, buyer)
BuyerKey = tuple[int, str]


class Offer(Struct, frozen=True, gc=False):
    """What a campaign sells, as it was read before."""

    campaign_item_id: int
    campaign_id: int
    sku_id: str
    currency: str
    sale_price_minor: int
    settlement_price_minor: int
    pool_id: int
    shop_id: str
    stock_policy: str
    title: str
    item_type: str


class GroupDraft(Struct, gc=False):
    """An order for a slot, with its ids, before any write."""

    once: Once
    order_id: int
    line_id: int
    offer: Offer
    quantity: int
    payable_minor: int
    group_id: int | None
    join_other: bool
    address: AddressSnapshot | None
    created_at: datetime
    # whether its slot is counted as in flight for this call
    claimed: bool = False

    @property
    def claim_id(self) -> str:
        return self.once.digest.hex()

    @property
    def buyer_id(self) -> str:
        return self.once.caller_id


class Member(Struct, gc=False, array_like=True):
    """Somebody who has a slot; `held`: the goods are reserved."""

    order_id: int
    buyer_id: str
    slot: int
    pool_id: int
    quantity: int
    held: bool


class LockedGroup(Struct, array_like=True):
    """A group's locked row with its living members."""

    group_id: int
    campaign_id: int
    status: str
    slots: int
    ends_at: datetime
    stock_locked: bool
    slots_version: int
    members: list[Member] = []

    @property
    def free_slot(self) -> int:
        taken = {member.slot for member in self.members}
        return next(slot for slot in range(1, self.slots + 1) if slot not in taken)


class LockedCampaign(Struct, gc=False, array_like=True):
    """A campaign's row, that does not change meanwhile. None: no limit."""

    campaign_id: int
    status: str
    starts_at: datetime
    ends_at: datetime
    per_buyer_max: int | None
    per_order_max: int | None
    groups_at_once_max: int | None
    stock_policy: str

    @property
    def counts_buyers(self) -> bool:
        return self.per_buyer_max is not None or self.groups_at_once_max is not None


class LockedItem(Struct, gc=False, array_like=True):
    """A row of what a campaign sells, that does not change meanwhile."""

    campaign_item_id: int
    sale_price_minor: int
    sell_status: str


class Numbers(Struct, gc=False):
    """All that a batch may change, as locked."""

    campaigns: Mapping[int, LockedCampaign]
    items: Mapping[int, LockedItem]
    groups: Mapping[int, LockedGroup]
    # units taken, and open groups
    buyers: dict[BuyerKey, tuple[int, int]]
    # units free; 0 where the pool is closed
    free: dict[int, int]

    def forget_own(self, draft: GroupDraft) -> None:
        """An order that is there already does not count against itself."""
        key = _buyer(draft)
        if key in self.buyers:
            units, open_groups = self.buyers[key]
            self.buyers[key] = (units - draft.quantity, open_groups - 1)


class Placed(Struct, gc=False):
    """What admitting has decided: the slots, and what is reserved for whom."""

    slots: dict[int, int | None]
    # units by pool, and the members whose goods they are
    reserved: dict[int, int]
    holders: list[Member]
    # groups whose last slot was taken
    locked_ids: list[int]


def admit(
    drafts: Sequence[GroupDraft], numbers: Numbers, now: datetime
) -> tuple[list[AppError | None], Placed]:
    """For each draft None when it is placed, else why not; and what the placed ones take."""
    placed = Placed({}, defaultdict(int), [], [])
    refusals: list[AppError | None] = []
    for draft in drafts:
        refusals.append(admit_one(draft, numbers, placed, now))
    return refusals, placed


def admit_one(draft: GroupDraft, numbers: Numbers, placed: Placed, now: datetime) -> AppError | None:
    """None when it is placed, and noted in `placed`; else why not."""
    return _refuse(draft, numbers, now) or _take(draft, numbers, placed)


def _refuse(draft: GroupDraft, numbers: Numbers, now: datetime) -> AppError | None:
    campaign = numbers.campaigns[draft.offer.campaign_id]
    item = numbers.items[draft.offer.campaign_item_id]
    if campaign.status != "PUBLISHED" or not campaign.starts_at <= now < campaign.ends_at:
        return ActivityEnded(activity_id=str(campaign.campaign_id))
    if item.sell_status != "OPEN":
        return ActivityEnded("its sale is closed", activity_id=str(campaign.campaign_id))
    payable_minor = item.sale_price_minor * draft.quantity
    if payable_minor != draft.payable_minor:
        return PriceChanged(f"it costs {payable_minor} (minor units)", payable_minor=payable_minor)
    return _over_limit(draft, numbers, campaign) or _no_place(draft, numbers, now)


def _over_limit(draft: GroupDraft, numbers: Numbers, campaign: LockedCampaign) -> AppError | None:
    taken, open_groups = numbers.buyers.get(_buyer(draft), (0, 0))
    for name, limit, units in (
        ("per_order_max", campaign.per_order_max, draft.quantity),
        ("per_buyer_max", campaign.per_buyer_max, taken + draft.quantity),
    ):
        if limit is not None and units > limit:
            members: dict[str, Any] = {"sku_ids": [draft.offer.sku_id], name: limit}
            return PurchaseLimitExceeded(**members)
    groups_max = campaign.groups_at_once_max
    if groups_max is not None and open_groups >= groups_max:
        return TooManyGroups(groups_at_once_max=groups_max)
    return None


def _no_place(draft: GroupDraft, numbers: Numbers, now: datetime) -> AppError | None:
    if draft.group_id is None:
        return None
    group = numbers.groups.get(draft.group_id)
    if group is None or group.campaign_id != draft.offer.campaign_id:
        return GroupNotFound()
    if group.status != "OPEN" or now >= group.ends_at:
        return GroupOver(group_status=group.status)
    for member in group.members:
        if member.buyer_id == draft.buyer_id:
            return AlreadyMember(order_id=str(member.order_id))
    return GroupFull() if len(group.members) >= group.slots else None


def _take(draft: GroupDraft, numbers: Numbers, placed: Placed) -> OutOfStock | None:
    """The slot and the stock, or why there is none."""
    pool_id = draft.offer.pool_id
    group = None if draft.group_id is None else numbers.groups[draft.group_id]
    policy = numbers.campaigns[draft.offer.campaign_id].stock_policy
    member = Member(draft.order_id, draft.buyer_id, 1, pool_id, draft.quantity, policy == EACH_MEMBER)
    needed = _needed(member, group, policy)
    if any(numbers.free.get(each, 0) < units for each, units in needed.items()):
        return OutOfStock(sku_ids=[draft.offer.sku_id])
    last = group is not None and len(group.members) + 1 == group.slots
    if group is not None:
        member.slot = group.free_slot
        group.members.append(member)
    if policy == EACH_MEMBER:
        _reserve(placed, numbers, {pool_id: draft.quantity})
        placed.holders.append(member)
    elif policy == LAST_MEMBER and last and group is not None and draft.group_id is not None:
        _reserve(placed, numbers, needed)
        placed.locked_ids.append(draft.group_id)
        placed.holders += [each for each in group.members if not each.held]
        for each in group.members:
            each.held = True
        group.stock_locked = True
    placed.slots[draft.order_id] = None if group is None else member.slot
    taken, open_groups = numbers.buyers.get(_buyer(draft), (0, 0))
    numbers.buyers[_buyer(draft)] = (taken + draft.quantity, open_groups + 1)
    return None


def _needed(member: Member, group: LockedGroup | None, policy: str) -> dict[int, int]:
    """Units that must be free, by pool: the new member's; where nobody holds any, all the others' too."""
    needed: dict[int, int] = defaultdict(int)
    needed[member.pool_id] = member.quantity
    if group is not None and policy == LAST_MEMBER:
        for each in group.members:
            if not each.held:
                needed[each.pool_id] += each.quantity
    return needed


def _reserve(placed: Placed, numbers: Numbers, units_by_pool: Mapping[int, int]) -> None:
    for pool_id, units in units_by_pool.items():
        placed.reserved[pool_id] += units
        numbers.free[pool_id] -= units


def _buyer(draft: GroupDraft) -> BuyerKey:
    return draft.offer.campaign_id, draft.buyer_id
