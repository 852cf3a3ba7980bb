"""The contract's examples, by path: a request, and what it is answered with.

A test decodes each with the Struct that the route takes and gives, so they cannot grow stale.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Example(NamedTuple):
    request: dict[str, Any]
    answer: dict[str, Any]


PROMOTION = {"kind": "promotion", "rule_id": "p-9", "name": "Spend 200 save 30", "amount_minor": 3_000}
COUPON = {"kind": "coupon", "rule_id": "7001", "name": "10 off", "amount_minor": 1_000}

CART = {
    "currency": "CNY",
    "lines": [{"sku_id": "1001", "quantity": 2}],
    "coupon_ids": ["7001", "7002"],
    "auto_coupons": False,
    "points": 0,
    "gift_card_codes": [],
    "red_packet_id": None,
    "address_id": None,
    "mode": "normal",
    "activity_id": None,
    "choices": [{"choice_group": "spend-200", "promotion_id": "p-9"}],
    "coupon_codes": [],
    "region": None,
}

LINE = {
    "sku_id": "1001",
    "quantity": 2,
    "unit_price_minor": 10_000,
    "list_price_minor": 12_000,
    "goods_minor": 20_000,
    "discount_minor": 4_000,
    "freight_minor": 0,
    "tax_minor": 0,
    "payable_minor": 16_000,
    "available": True,
    "max_quantity": 5,
    "discounts": [PROMOTION, COUPON],
    "activities": [
        {"kind": "promotion", "activity_id": "p-9", "name": "Spend 200 save 30", "choice_group": "spend-200"},
        {"kind": "promotion", "activity_id": "p-8", "name": "10 % off", "choice_group": "spend-200"},
        {"kind": "flash_sale", "activity_id": "noon", "name": "Noon sale"},
    ],
}

SUMMARY = {
    "quote_id": "q-6f1d2c9a",
    "expires_at": "2026-11-22T10:05:00Z",
    "currency": "CNY",
    "goods_minor": 20_000,
    "promotion_discount_minor": 3_000,
    "coupon_discount_minor": 1_000,
    "points_discount_minor": 0,
    "gift_card_minor": 0,
    "red_packet_minor": 0,
    "freight_minor": 0,
    "tax_minor": 0,
    "payable_minor": 16_000,
    "points_used": 0,
    "points_earned": 160,
    "shops": [
        {
            "shop_id": "7",
            "goods_minor": 20_000,
            "discount_minor": 4_000,
            "freight_minor": 0,
            "tax_minor": 0,
            "payable_minor": 16_000,
            "lines": [LINE],
        }
    ],
    "applied": [PROMOTION, COUPON],
    "rejected": [
        {
            "kind": "coupon",
            "rule_id": "7002",
            "name": "20 off 300",
            "code": "minimum_not_met",
            "missing_minor": 10_000,
        }
    ],
    "warnings": [],
}

CHECKOUT = CART | {
    "coupon_ids": ["7001"],
    "address_id": "81985529216486895",
    "payable_minor": 16_000,
    "quote_id": "q-6f1d2c9a",
    "memo": "please ring twice",
    "source": "app",
}

PLACED = {
    "order_id": "81985529216486900",
    "status": "NOT_PAID",
    "currency": "CNY",
    "payable_minor": 16_000,
    "pay_deadline": "2026-11-22T10:15:00Z",
    "orders": [{"order_id": "81985529216486900", "shop_id": "7", "payable_minor": 16_000}],
}

EXAMPLES = {
    "/shopping/cal_price/v4_4": Example(CART, SUMMARY),
    "/shopping/cart/checkout/entries": Example(CHECKOUT, PLACED),
}
