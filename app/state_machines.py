"""docs/state_machines.md, drawn from the tables that the guarded updates use.

`python -m app.state_machines` writes the page anew; a test fails when it differs from the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from app.campaigns.state import CAMPAIGN_TRANSITIONS, CampaignStatus
from app.coupons.state import COUPON_TRANSITIONS, CouponStatus
from app.groups.state import (
    GROUP_ORDER_TRANSITIONS,
    GROUP_TRANSITIONS,
    GroupOrderStatus,
    GroupStatus,
)
from app.lib.sql import ROOT
from app.orders.state import TRANSITIONS as ORDER_TRANSITIONS
from app.orders.state import OrderStatus
from app.payments.state import (
    PAY_ORDER_TRANSITIONS,
    PAYMENT_TRANSITIONS,
    PaymentStatus,
    PayOrderStatus,
)
from app.red_packets.state import RED_PACKET_TRANSITIONS, RedPacketStatus
from app.refunds.state import REFUND_TRANSITIONS, RefundStatus

PAGE = ROOT / "docs" / "state_machines.md"
HEAD = """# State machines

Drawn from the transition tables in `app/*/state.py` by `python -m app.state_machines`; a test compares them.
A row moves only by a guarded update (`UPDATE … WHERE status = ANY(from)`); a CHECK names its states.
"""


class Machine(NamedTuple):
    """One machine and the table whose `status` it governs."""

    title: str
    table: str
    says: str
    initial: StrEnum
    transitions: Mapping[Any, frozenset[Any]]


MACHINES = [
    Machine(
        "Order",
        "orders",
        "CANCELED: by the buyer, or not paid in time. CLOSED: paid, and all of it given back. INVALID: a "
        "parent, once paid; its children go on in its place.",
        OrderStatus.NOT_PAID,
        ORDER_TRANSITIONS,
    ),
    Machine(
        "Pay order",
        "pay_order",
        "What is due for an order. Back to UNPAID: the authorization was given up before money was taken.",
        PayOrderStatus.UNPAID,
        PAY_ORDER_TRANSITIONS,
    ),
    Machine(
        "Payment order",
        "payment_order",
        "One attempt at one channel. Captured money is a fact, whatever was believed before; what counts for "
        "no order goes back.",
        PaymentStatus.CREATED,
        PAYMENT_TRANSITIONS,
    ),
    Machine(
        "Refund",
        "refund",
        "FAILED is what the channel said; only then a new reference is used.",
        RefundStatus.REQUESTED,
        REFUND_TRANSITIONS,
    ),
    Machine(
        "Group-buy campaign",
        "campaign",
        "REJECTED: something was refused; the merchant changes or drops it and submits again. A campaign "
        "that has passed whole is published by an operator, or when its start comes. ENDED: its time is "
        "over, or it was withdrawn.",
        CampaignStatus.DRAFT,
        CAMPAIGN_TRANSITIONS,
    ),
    Machine(
        "Coupon",
        "coupon",
        "Locked by an unpaid order, used by a paid one. It comes back from a canceled order, and from a "
        "refunded one where its template says so; after its time it has expired.",
        CouponStatus.AVAILABLE,
        COUPON_TRANSITIONS,
    ),
    Machine(
        "Group",
        "buy_group",
        "It comes into being when its first order is paid, and succeeds when all its slots are.",
        GroupStatus.OPEN,
        GROUP_TRANSITIONS,
    ),
    Machine(
        "Group order",
        "group_order",
        "Beside its order's own state, in the same transactions. CANCELED: its slot is free again.",
        GroupOrderStatus.UNPAID,
        GROUP_ORDER_TRANSITIONS,
    ),
    Machine(
        "Red packet",
        "red_packet",
        "One packet, one order. The money of one that nobody used in time goes back to its pool.",
        RedPacketStatus.AVAILABLE,
        RED_PACKET_TRANSITIONS,
    ),
]


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(draw(each) for each in MACHINES)])


def draw(machine: Machine) -> str:
    arrows = [
        f"    {source} --> {target}"
        for source, targets in machine.transitions.items()
        for target in sorted(targets, key=list(machine.transitions).index)
    ]
    ends = [f"    {source} --> [*]" for source, targets in machine.transitions.items() if not targets]
    picture = "\n".join(["stateDiagram-v2", f"    [*] --> {machine.initial}", *arrows, *ends])
    return f"## {machine.title} (`{machine.table}`)\n\n{machine.says}\n\n```mermaid\n{picture}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(render())
