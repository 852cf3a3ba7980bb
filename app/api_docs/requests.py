"""An example of every body that the contract gives none for: what a reader may send as it stands.

By method and path. A test decodes each with the Struct that the route takes, and names a call without one.
"""

from __future__ import annotations

from typing import Any

PROMOTION = {
    "name": "Spend 200 save 30",
    "shop_id": None,
    "lane": "shop",
    "priority": 10,
    "exclusive": False,
    "choice_group": None,
    "starts_at": "2026-11-11T00:00:00Z",
    "ends_at": "2026-11-12T00:00:00Z",
    "enabled": True,
    "scope": {"sku_ids": [], "item_ids": [], "category_ids": ["tea"], "shop_ids": []},
    "condition": {"min_amount_minor": 20_000, "base": "discounted", "regions": [], "currencies": ["CNY"]},
    "effect": {"kind": "amount_off", "amount_minor": 3_000, "per": "order"},
    "limits": {"budget_minor": 1_000_000, "uses_max": 500, "uses_per_buyer_max": 1},
}

COUPON_TEMPLATE = {
    "name": "10 off 100",
    "shop_id": "7",
    "condition": {"min_amount_minor": 10_000, "currencies": ["CNY"]},
    "effect": {"kind": "amount_off", "amount_minor": 1_000, "per": "order"},
    "valid_days": 30,
    "quantity_total": 1_000,
    "per_buyer_max": 1,
    "stack_category": "shop",
    "code": "TEA10",
}

CAMPAIGN = {
    "item_id": "100",
    "name": "Tea for two",
    "starts_at": "2026-11-11T00:00:00Z",
    "ends_at": "2026-11-18T00:00:00Z",
    "orders_to_succeed": 2,
    "group_open_s": 86_400,
    "items": [
        {
            "sku_id": "1001",
            "currency": "CNY",
            "sale_price_minor": 8_000,
            "settlement_price_minor": 7_000,
            "total_stock": 100,
        }
    ],
    "per_buyer_max": 2,
}

STAFF: dict[str, dict[str, Any]] = {
    "PUT /admin/shops/{shop_id}": {"name": "Lan's Tea", "currency": "CNY"},
    "PUT /admin/items/{item_id}": {
        "shop_id": "7",
        "title": "Tea",
        "item_type": "physical",
        "category_ids": ["tea"],
        "skus": [
            {
                "sku_id": "1001",
                "attributes": {"size": "L"},
                "weight_grams": 250,
                "prices": {"CNY": {"price_minor": 10_000, "list_price_minor": 12_000}},
            }
        ],
    },
    "PUT /admin/skus/{sku_id}/stock": {"on_hand": 100, "expected_version": None},
    "POST /admin/orders/{order_id}/price_change": {"reason": "agreed on the phone", "amount_minor": 1_000},
    "PUT /admin/skus/{sku_id}/seats": {
        "session": "2026-12-24 19:30",
        "rows": [
            {"row": "A", "seats": ["1", "2", "3", None, "4", "5", "6"]},
            {"row": "B", "seats": ["1", "2", "3", "4", None, "5", "6", "7", "8"]},
        ],
    },
    "POST /admin/skus/{sku_id}/stock/adjust": {"delta": 20, "reason": "delivery"},
    "PUT /admin/flash_sales/{activity_id}": {
        "name": "Noon sale",
        "starts_at": "2026-11-11T12:00:00Z",
        "ends_at": "2026-11-11T13:00:00Z",
        "items": [
            {"sku_id": "1001", "currency": "CNY", "price_minor": 5_000, "quantity": 100, "per_buyer_max": 1}
        ],
    },
    "PUT /admin/freight_templates/{template_id}": {
        "shop_id": "7",
        "currency": "CNY",
        "name": "By weight",
        "rules": [
            {
                "regions": ["CN-XZ", "CN-XJ"],
                "basis": "weight",
                "first": {"upto": 1_000, "fee_minor": 2_000},
                "then": {"step": 500, "fee_minor": 800},
            }
        ],
        "default": {
            "basis": "weight",
            "first": {"upto": 1_000, "fee_minor": 800},
            "then": {"step": 1_000, "fee_minor": 300},
            "free_above_minor": 9_900,
        },
    },
    "PUT /admin/tax_rules/{tax_rule_id}": {
        "name": "VAT",
        "rate_bp": 1_300,
        "regions": ["CN"],
        "category_ids": ["tea"],
        "included": True,
    },
    "PUT /admin/fx_rates": {
        "base": "CNY",
        "rates": [{"currency": "USD", "rate": "0.1389", "valid_from": "2026-11-11T00:00:00Z"}],
    },
    "PUT /admin/buyers/{buyer_id}": {"tags": ["gold", "staff"]},
    "PUT /admin/promotions/{promotion_id}": PROMOTION,
    "POST /admin/promotions/check": {"promotion_id": "spend-200", "document": PROMOTION},
    "PUT /admin/coupon_templates/{template_id}": COUPON_TEMPLATE,
    "POST /admin/coupon_templates/{template_id}/grants": {"user_ids": ["42", "43"]},
    "PUT /admin/points_rules": {
        "currencies": {"CNY": {"earn_bp": 100, "minor_per_point": 1}},
        "cap_bp": 5_000,
        "valid_days": 365,
    },
    "POST /admin/points/grants": {"user_ids": ["42", "43"], "points": 500, "reason": "a late parcel"},
    "POST /admin/gift_cards": {"amount_minor": 20_000, "currency": "CNY", "count": 10, "valid_days": 1_095},
    "PUT /admin/red_packet_pools/{pool_id}": {"name": "New Year", "currency": "CNY"},
    "POST /admin/red_packet_pools/{pool_id}/fund": {"amount_minor": 1_000_000},
    "POST /admin/red_packet_pools/{pool_id}/send": {
        "user_ids": ["42", "43"],
        "amount_minor": 888,
        "min_amount_minor": 5_000,
        "valid_days": 7,
    },
    "PUT /admin/blocked_addresses/{kind}/{value}": {"reason": "parcels come back from there"},
    "POST /merchant/campaigns": CAMPAIGN,
    "PUT /merchant/campaigns/{campaign_id}": CAMPAIGN,
    "PUT /merchant/campaign_items/{campaign_item_id}/stock": {"total_stock": 150},
    "PUT /merchant/campaign_items/{campaign_item_id}/sell_status": {"sell_status": "CLOSED"},
    "POST /op/campaigns/{campaign_id}/review": {
        "decisions": [
            {"campaign_item_id": "81985529216486910", "passed": True},
            {"campaign_item_id": "81985529216486911", "passed": False, "reason": "dearer than in the shop"},
        ]
    },
    "POST /op/campaigns/{campaign_id}/withdraw": {"reason": "the item is recalled"},
    "PUT /op/slots": {
        "slots": [
            {
                "name": "top",
                "campaign_ids": ["81985529216486905", "81985529216486906"],
                "starts_at": "2026-11-11T00:00:00Z",
                "ends_at": None,
            }
        ]
    },
}

CART = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 2}]}

BUYER: dict[str, dict[str, Any]] = {
    "POST /shopping/user_coupons_for_order": CART,
    "POST /shopping/cart/entries": {"sku_id": "1001", "quantity": 2},
    "DELETE /shopping/cart/entries": {"sku_id": "1001"},
    "POST /coupon/redeem": {"code": "WELCOME15"},
    "POST /coupon/claim": {"template_id": "spring"},
    "POST /address-api/upsert": {
        "address_id": None,
        "name": "Lin Xiaoyu",
        "phone": "+86 138 0013 8000",
        "country": "CN",
        "region": "CN-SH",
        "city": "上海",
        "street": "武康路 100",
        "postcode": "200031",
    },
    "POST /shopping/orders/{order_id}/payments": {"channel": "sandbox", "method": "card", "return_url": None},
    "POST /groupbuy/campaigns/query": {"item_ids": ["100", "101"]},
    "POST /groupbuy/orders": {
        "campaign_item_id": "81985529216486910",
        "quantity": 1,
        "payable_minor": 8_000,
        "group_id": None,
        "address_id": "81985529216486895",
    },
    "POST /refund/refund": {
        "order_id": "81985529216486900",
        "lines": [{"line_id": "81985529216486901", "quantity": 1}],
        "reason": "a dented tin",
    },
}

PAID = {
    "payment_id": "81985529216486902",
    "channel": "sandbox",
    "psp_reference": "psp-7c1e",
    "status": "captured",
    "amount_minor": 16_000,
    "currency": "CNY",
}
FAILED = {"payment_id": "81985529216486902", "channel": "sandbox", "reason": "declined"}
REFUNDED = {
    "refund_id": "81985529216486903",
    "psp_reference": "psp-7c1f",
    "status": "succeeded",
    "amount_minor": 5_000,
    "currency": "CNY",
}


GROUP_FAILED = {"group_id": "81985529216486920", "status": "failed", "reason": "the shop has closed"}


def _event(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"event_id": "e-1", "type": kind, "occurred_at": "2026-11-22T10:00:00Z", "data": content}


EVENTS = {
    "POST /event/payment_notified_cm": _event("payment_notified_cm", PAID),
    "POST /event/payment_failed_cm": _event("payment_failed_cm", FAILED),
    "POST /event/refund_notified": _event("refund_notified", REFUNDED),
    "POST /event/purchased": _event("purchased", {"order_id": "81985529216486900"}),
    "POST /event/group_update": _event("group_update", GROUP_FAILED),
    "POST /event/logistics_updated": _event("logistics_updated", {"tracking_number": "SF1234567890"}),
    "POST /event/fulfilment_updated": _event("fulfilment_updated", {"order_id": "81985529216486900"}),
}

REQUESTS = STAFF | BUYER | EVENTS
