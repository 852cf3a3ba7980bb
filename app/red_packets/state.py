"""The machine of a red packet."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RedPacketStatus(StrEnum):
    AVAILABLE = "available"
    LOCKED = "locked"  # an unpaid order holds it
    USED = "used"
    EXPIRED = "expired"  # its money is back in the pool


RED_PACKET_TRANSITIONS: Mapping[RedPacketStatus, frozenset[RedPacketStatus]] = {
    RedPacketStatus.AVAILABLE: frozenset({RedPacketStatus.LOCKED, RedPacketStatus.EXPIRED}),
    RedPacketStatus.LOCKED: frozenset({RedPacketStatus.USED, RedPacketStatus.AVAILABLE}),
    RedPacketStatus.USED: frozenset(),
    RedPacketStatus.EXPIRED: frozenset(),
}


def sources(target: RedPacketStatus) -> list[str]:
    """The states from which `target` may be reached."""
    return [str(source) for source, targets in RED_PACKET_TRANSITIONS.items() if target in targets]
