"""What a channel says about an attempt, and what that means here.

Enters: a report (from an event or from asking the channel) and the rows as locked. Leaves: a decision. No
I/O. Must hold: the same report twice, late or out of order decides NOTHING; money that was captured either
counts for its order or goes back.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Literal

import msgspec

from app.payments.state import PAYMENT_TRANSITIONS, PaymentStatus, PayOrderStatus

ReportStatus = Literal["authorized", "captured", "failed", "canceled"]

_TARGETS: dict[str, PaymentStatus] = {
    "authorized": PaymentStatus.AUTHORIZED,
    "captured": PaymentStatus.CAPTURED,
    "failed": PaymentStatus.FAILED,
    "canceled": PaymentStatus.CANCELED,
}


class Report(msgspec.Struct, frozen=True):
    """`amount_minor` and `currency` are what the channel says, not what we asked for."""

    payment_id: int
    status: ReportStatus
    amount_minor: int
    currency: str
    psp_reference: str | None = None
    reason: str | None = None
    channel: str | None = None  # None: we asked the channel ourselves


class Facts(msgspec.Struct, frozen=True):
    """The rows as locked."""

    channel: str
    payment_status: PaymentStatus
    amount_minor: int
    currency: str
    pay_status: PayOrderStatus
    due_minor: int  # what the order costs now: a seller may have lowered it since the attempt
    counted_id: int | None  # the attempt whose money (or authorization) counts for the order
    order_status: str
    manual_capture: bool


class Decision(Enum):
    NOTHING = auto()  # known, or overtaken by something newer
    REJECT = auto()  # does not fit what we asked for: somebody must look
    FAIL = auto()
    CANCEL = auto()  # the attempt ends without money
    CANCEL_COUNTED = auto()  # the same, and the order is unpaid again
    AUTHORIZE = auto()  # the order waits longer for its money
    AUTHORIZE_ACCEPT = auto()  # manual capture: the order is as good as paid
    AUTHORIZE_SPARE = auto()  # the order does not need it: to be given up at the channel
    PAY = auto()
    RETURN_DOUBLE = auto()  # another attempt has paid: this money goes back
    RETURN_LATE = auto()  # the order is over: this money goes back
    RETURN_WRONG = auto()  # the order has another price since: this money goes back


def decide(report: Report, facts: Facts) -> Decision:
    target = _TARGETS[report.status]
    if not _fits(report, facts):
        return Decision.REJECT
    if target not in PAYMENT_TRANSITIONS[facts.payment_status]:
        return Decision.NOTHING
    counted = facts.counted_id == report.payment_id
    match target:
        case PaymentStatus.FAILED:
            return Decision.FAIL
        case PaymentStatus.CANCELED if counted and facts.order_status != "NOT_PAID":
            return Decision.REJECT  # accepted on an authorization that is gone
        case PaymentStatus.CANCELED:
            return Decision.CANCEL_COUNTED if counted else Decision.CANCEL
        case PaymentStatus.AUTHORIZED:
            return _decide_authorized(facts)
        case _:
            return _decide_captured(facts)


def _fits(report: Report, facts: Facts) -> bool:
    if report.channel is not None and report.channel != facts.channel:
        return False
    if report.status in ("failed", "canceled"):  # no money moved: the amount says nothing
        return True
    return (report.amount_minor, report.currency) == (facts.amount_minor, facts.currency)


def _decide_authorized(facts: Facts) -> Decision:
    waits = facts.order_status == "NOT_PAID" and facts.pay_status is PayOrderStatus.UNPAID
    if not waits or facts.amount_minor != facts.due_minor:
        return Decision.AUTHORIZE_SPARE
    return Decision.AUTHORIZE_ACCEPT if facts.manual_capture else Decision.AUTHORIZE


def _decide_captured(facts: Facts) -> Decision:
    if facts.order_status in ("CANCELED", "CLOSED") or facts.pay_status is PayOrderStatus.CLOSED:
        return Decision.RETURN_LATE
    if facts.pay_status in (PayOrderStatus.UNPAID, PayOrderStatus.AUTHORIZED):
        return Decision.PAY if facts.amount_minor == facts.due_minor else Decision.RETURN_WRONG
    return Decision.RETURN_DOUBLE
