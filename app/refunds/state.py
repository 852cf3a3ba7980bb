"""The machine of a refund.

FAILED is what the channel said; a new reference is used only after that (`attempt` rises, back to
REQUESTED). A time-out is not a failure: the same reference is sent again. A success that is told after the
failure of the same reference counts: a new one would send the money twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RefundStatus(StrEnum):
    REQUESTED = "REQUESTED"
    SENT = "SENT"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


REFUND_TRANSITIONS: Mapping[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.REQUESTED: frozenset({RefundStatus.SENT, RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
    RefundStatus.SENT: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
    RefundStatus.FAILED: frozenset({RefundStatus.REQUESTED, RefundStatus.SUCCEEDED}),
    RefundStatus.SUCCEEDED: frozenset(),
}


def sources(target: RefundStatus) -> list[str]:
    """The states from which `target` may be reached."""
    return [str(source) for source, targets in REFUND_TRANSITIONS.items() if target in targets]
