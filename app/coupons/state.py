"""The coupon's machine: its states and the one table of transitions.

The guarded updates are in sql/queries/coupons.sql; the picture in docs/state_machines.md is drawn from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class CouponStatus(StrEnum):
    AVAILABLE = "available"
    LOCKED = "locked"  # an unpaid order holds it
    USED = "used"
    EXPIRED = "expired"


COUPON_TRANSITIONS: Mapping[CouponStatus, frozenset[CouponStatus]] = {
    CouponStatus.AVAILABLE: frozenset({CouponStatus.LOCKED, CouponStatus.EXPIRED}),
    CouponStatus.LOCKED: frozenset({CouponStatus.USED, CouponStatus.AVAILABLE, CouponStatus.EXPIRED}),
    CouponStatus.USED: frozenset({CouponStatus.AVAILABLE, CouponStatus.EXPIRED}),
    CouponStatus.EXPIRED: frozenset(),
}
