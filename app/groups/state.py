"""The machines of a group and of a group order. Both move in the transaction that moves the trade side."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class GroupStatus(StrEnum):
    OPEN = "OPEN"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


class GroupOrderStatus(StrEnum):
    UNPAID = "UNPAID"
    PAID = "PAID"  # waits for the group
    SUCCEEDED = "SUCCEEDED"  # it is a trade order from here on
    REFUNDING = "REFUNDING"
    REFUNDED = "REFUNDED"
    CANCELED = "CANCELED"  # by the buyer, or not paid in time


GROUP_TRANSITIONS: Mapping[GroupStatus, frozenset[GroupStatus]] = {
    GroupStatus.OPEN: frozenset({GroupStatus.SUCCEEDED, GroupStatus.FAILED}),
    GroupStatus.SUCCEEDED: frozenset(),
    GroupStatus.FAILED: frozenset(),
}

GROUP_ORDER_TRANSITIONS: Mapping[GroupOrderStatus, frozenset[GroupOrderStatus]] = {
    GroupOrderStatus.UNPAID: frozenset({GroupOrderStatus.PAID, GroupOrderStatus.CANCELED}),
    GroupOrderStatus.PAID: frozenset({GroupOrderStatus.SUCCEEDED, GroupOrderStatus.REFUNDING}),
    GroupOrderStatus.REFUNDING: frozenset({GroupOrderStatus.REFUNDED}),
    GroupOrderStatus.SUCCEEDED: frozenset(),
    GroupOrderStatus.REFUNDED: frozenset(),
    # paid too late, by a buyer who has agreed to another group
    GroupOrderStatus.CANCELED: frozenset({GroupOrderStatus.PAID}),
}
