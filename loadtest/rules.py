"""Ten SKUs under thirty live promotions, each SKU in five of them; and thousands of rules beside them.

Leaves documents only: those of the promotions and coupon templates as the admin calls take them. What prices
a cart of these SKUs must cost what the thirty cost, however many others there are.
"""

from __future__ import annotations

from typing import Any

RULED_SKUS = 10
LIVE = 30
RULES_OF_A_SKU = 5
COUPONS = 20
RULES = 10_000
SHOP_ID = "shop-ruled"
OTHER_SKU = "other-{}"

Document = dict[str, Any]

_EFFECTS: tuple[Document, ...] = (
    {"kind": "percent_off", "percent_bp": 300},
    {"kind": "amount_off", "amount_minor": 40, "per": "unit"},
    {"kind": "tiers", "tiers": [{"min_amount_minor": 2_000, "amount_off_minor": 50},
                                {"min_amount_minor": 6_000, "amount_off_minor": 200}]},
    {"kind": "amount_off", "amount_minor": 150, "per": "order"},
    {"kind": "tiers", "tiers": [{"min_quantity": 2, "percent_bp": 200},
                                {"min_quantity": 5, "percent_bp": 400}]},
)  # fmt: skip
_LANES = ("item", "shop", "platform")


def ruled_sku(number: int) -> str:
    return f"ruled-{number}"


def cart_lines(number: int, lines: int) -> list[Document]:
    """`lines` of the ten SKUs, others for another number."""
    skus = [(number + step) % RULED_SKUS for step in range(lines)]
    return [{"sku_id": ruled_sku(sku), "quantity": 1 + sku % 3} for sku in skus]


def live_promotions() -> dict[str, Document]:
    """By id. Every SKU is in five: 50 places over 30 rules, so 20 of them cover two SKUs."""
    scopes: list[list[str]] = [[] for _ in range(LIVE)]
    for place in range(RULED_SKUS * RULES_OF_A_SKU):
        scopes[place % LIVE].append(ruled_sku(place // RULES_OF_A_SKU))
    return {f"live-{number}": _promotion(number, scope) for number, scope in enumerate(scopes)}


def other_promotions() -> dict[str, Document]:
    """By id: live as well, for other SKUs."""
    return {f"other-{n}": _promotion(n, [OTHER_SKU.format(n)]) for n in range(RULES - LIVE)}


def coupon_templates() -> dict[str, Document]:
    """By id; most of them lower what the others are worth."""
    return {
        f"ruled-coupon-{n}": {
            "name": f"Coupon {n}", "valid_days": 30, "stack_category": f"category-{n % 4}",
            "condition": {"min_amount_minor": 500 + 50 * n},
            "effect": {"kind": "percent_off", "percent_bp": 200 + 10 * n}
            if n % 2 else {"kind": "amount_off", "amount_minor": 100 + 5 * n},
        }
        for n in range(COUPONS)
    }  # fmt: skip


def _promotion(number: int, sku_ids: list[str]) -> Document:
    return {
        "name": f"Rule {number}", "lane": _LANES[number % len(_LANES)], "priority": number % 7,
        "scope": {"sku_ids": sku_ids}, "condition": {"min_amount_minor": 100},
        "effect": _EFFECTS[number % len(_EFFECTS)],
    }  # fmt: skip
