"""What becomes of a group, and who of its members goes without goods. Pure: over rows that are locked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from app.groups.ledger import GRACE
from app.groups.state import GroupStatus

NOT_FULL_IN_TIME = "not_full_in_time"
WITHDRAWN = "campaign_withdrawn"
ENDED_EARLY = "ended_early"
OUT_OF_STOCK = "out_of_stock"


class Ending(Struct, frozen=True):
    """`short`: 虚拟成团, it succeeds with fewer members."""

    status: GroupStatus
    fail_reason: str | None = None
    short: bool = False


class Case(Struct):
    """A group that ends now, with its living members (rows of `read_members`)."""

    group_id: int
    ending: Ending
    members: Sequence[Any]

    @property
    def paid(self) -> list[Any]:
        return [row for row in self.members if row["status"] == "PAID"]

    @property
    def unpaid_ids(self) -> list[int]:
        return [row["order_id"] for row in self.members if row["status"] == "UNPAID"]


def decide(group: Any, now: datetime) -> Ending | None:
    """Full it succeeds, also when its campaign is withdrawn at that moment; else its time or the withdrawal
    ends it. None: it goes on."""
    if group["members_paid"] == group["slots"]:
        return Ending(GroupStatus.SUCCEEDED)
    if group["campaign_status"] == "ENDED" and group["ended_at"] < group["campaign_ends_at"]:
        return Ending(GroupStatus.FAILED, WITHDRAWN)
    if now < group["ends_at"] + GRACE:
        return None
    if group["ended_early"]:
        return Ending(GroupStatus.FAILED, ENDED_EARLY)
    share_bp = group["complete_from_bp"]
    if share_bp is not None and group["members_paid"] * 10_000 >= group["slots"] * share_bp:
        return Ending(GroupStatus.SUCCEEDED, short=True)
    return Ending(GroupStatus.FAILED, NOT_FULL_IN_TIME)


def without_goods(succeeding: Sequence[Case], free: Mapping[int, int]) -> set[int]:
    """Orders whose goods are not there: nothing is reserved for them, and too little is free.

    First come, first served: the group that had its last payment first, in it the member who paid first;
    of the same moment the smaller id.
    """
    left = defaultdict(int, free)
    losers = set()
    for case in sorted(succeeding, key=_full_since):
        wanting = [row for row in case.paid if row["reserve_on"] != "place"]
        for row in sorted(wanting, key=lambda row: (row["paid_at"], row["order_id"])):
            if left[row["pool_id"]] >= row["quantity"]:
                left[row["pool_id"]] -= row["quantity"]
            else:
                losers.add(row["order_id"])
    return losers


def fail_without_any(succeeding: Sequence[Case], losers: set[int]) -> None:
    """Without goods for any of its members a group has failed, and none of them counts as a loser."""
    for case in succeeding:
        paid = {row["order_id"] for row in case.paid}
        if paid <= losers:
            case.ending = Ending(GroupStatus.FAILED, OUT_OF_STOCK)
            losers -= paid


def _full_since(case: Case) -> tuple[datetime, int]:
    return max(row["paid_at"] for row in case.paid), case.group_id
