"""The names of accounts. Those that hold something for somebody have a balance; the others are ours.

Points are counted in POINTS, everything else in minor units of its currency. An amount moves from an account
to `frozen` when an order is placed, on to `spent` when it is paid, or back; it comes from `issued`.
"""

from __future__ import annotations

POINTS = "POINTS"
KINDS = ("points", "red_packet", "gift_card")


def points_account(buyer_id: str) -> str:
    return f"points:{buyer_id}"


def card_account(card_id: int | str) -> str:
    return f"gift_card:{card_id}"


def packet_account(packet_id: int | str) -> str:
    return f"red_packet:{packet_id}"


def pool_account(pool_id: str) -> str:
    """Where red packets are sent from."""
    return f"red_packet_pool:{pool_id}"


def issued(kind: str) -> str:
    return f"issued:{kind}"


def frozen(kind: str) -> str:
    """Of orders that are not paid yet."""
    return f"frozen:{kind}"


def spent(kind: str) -> str:
    return f"spent:{kind}"


def expired(kind: str) -> str:
    return f"expired:{kind}"
