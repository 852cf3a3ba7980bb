"""The lanes in which everything that lowers a price is applied, one lane after the other.

`RUSHCART_LANES` names them all, once each, in the order that a deployment wants. A promotion says its lane
itself; a coupon's follows from whether a shop or the platform gives it; points, red packets and gift cards
have one each.
"""

from __future__ import annotations

# The order of the contract. Promotions' names are those of their documents.
LANES = (
    "item",
    "shop",
    "platform",
    "shop_coupon",
    "platform_coupon",
    "points",
    "red_packet",
    "gift_card",
)


def check_lanes(lanes: tuple[str, ...]) -> None:
    """Raises ValueError unless each lane is named, and named once."""
    unknown = sorted(set(lanes).difference(LANES))
    missing = [lane for lane in LANES if lane not in lanes]
    if unknown:
        raise ValueError(f"there is no lane {', '.join(unknown)}")
    if missing:
        raise ValueError(f"{', '.join(missing)} missing: every lane has its place")
    if len(lanes) > len(LANES):
        raise ValueError("a lane is named twice")
