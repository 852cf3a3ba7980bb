"""The order's machine: its states and the one table of transitions.

A guarded UPDATE (move.py) moves an order only from a state that the table allows. The picture in
docs/state_machines.md is drawn from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class OrderStatus(StrEnum):
    NOT_PAID = "NOT_PAID"
    PENDING_GROUP = "PENDING_GROUP"  # paid, and waits for its group to be full
    PENDING_SHIPMENT = "PENDING_SHIPMENT"
    PENDING_RECEIVING = "PENDING_RECEIVING"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"  # by the buyer, or not paid in time
    CLOSED = "CLOSED"  # paid, and all of it given back
    INVALID = "INVALID"  # a parent, once paid: its children go on in its place


TRANSITIONS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.NOT_PAID: frozenset(
        {OrderStatus.PENDING_GROUP, OrderStatus.PENDING_SHIPMENT, OrderStatus.CANCELED, OrderStatus.INVALID}
    ),
    OrderStatus.PENDING_GROUP: frozenset({OrderStatus.PENDING_SHIPMENT, OrderStatus.CLOSED}),
    OrderStatus.PENDING_SHIPMENT: frozenset({OrderStatus.PENDING_RECEIVING, OrderStatus.CLOSED}),
    OrderStatus.PENDING_RECEIVING: frozenset({OrderStatus.COMPLETED, OrderStatus.CLOSED}),
    OrderStatus.COMPLETED: frozenset({OrderStatus.CLOSED}),
    # a group order whose late money counts for it after all: its buyer has agreed to another group
    OrderStatus.CANCELED: frozenset({OrderStatus.NOT_PAID}),
    OrderStatus.CLOSED: frozenset(),
    OrderStatus.INVALID: frozenset(),
}


def sources(target: OrderStatus) -> list[str]:
    """The states from which `target` can be reached."""
    return [source.value for source, targets in TRANSITIONS.items() if target in targets]
