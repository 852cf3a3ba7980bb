"""The demo's promotions, coupons and flash sale, as an operator would send them."""

from __future__ import annotations

from datetime import datetime, timedelta

from app.flash_sales.documents import FlashSaleDocument, FlashSaleItem
from app.points.documents import PointsRate, PointsRules
from app.pricing.documents import (
    AmountOff,
    Condition,
    CouponTemplateDocument,
    Limits,
    PercentOff,
    PromotionDocument,
    Scope,
    Tier,
    Tiers,
)
from app.red_packets.schemas import RedPacketPoolDocument

CNY = ["CNY"]
USD = ["USD"]

PROMOTIONS = {
    "p-9": PromotionDocument(
        name="Spend 200 save 30",
        shop_id="7",
        lane="shop",
        priority=10,
        condition=Condition(min_amount_minor=20000, currencies=CNY),
        effect=AmountOff(3000),
    ),
    "oolong-15": PromotionDocument(
        name="Oolong week: 15 % off",
        shop_id="7",
        lane="item",
        scope=Scope(category_ids=["oolong"]),
        effect=PercentOff(1500),
    ),
    "teaware-tiers": PromotionDocument(
        name="Set the table: more pieces, more off",
        shop_id="8",
        lane="shop",
        effect=Tiers([Tier(min_quantity=3, percent_bp=1000), Tier(min_quantity=6, percent_bp=1800)]),
    ),
    "roast-tiers": PromotionDocument(
        name="Save 5 on 40, 12 on 80",
        shop_id="9",
        lane="shop",
        condition=Condition(currencies=USD),
        effect=Tiers(
            [
                Tier(min_amount_minor=4000, amount_off_minor=500),
                Tier(min_amount_minor=8000, amount_off_minor=1200),
            ]
        ),
    ),
    "knitwear-20": PromotionDocument(
        name="Knitwear 20 % off",
        shop_id="10",
        lane="item",
        scope=Scope(category_ids=["knitwear"]),
        effect=PercentOff(2000),
    ),
    "platform-500": PromotionDocument(
        name="Spend 500 save 50, 1,000 save 120",
        lane="platform",
        condition=Condition(currencies=CNY),
        effect=Tiers(
            [
                Tier(min_amount_minor=50000, amount_off_minor=5000),
                Tier(min_amount_minor=100000, amount_off_minor=12000),
            ]
        ),
    ),
}

# Those with True are given to the demo's buyer; the others are for redeeming.
TEMPLATES = {
    "ten-off": (
        CouponTemplateDocument(
            name="10 off",
            shop_id="7",
            condition=Condition(min_amount_minor=10000, currencies=CNY),
            effect=AmountOff(1000),
            valid_days=365,
            stack_category="shop",
        ),
        True,
    ),
    "twenty-off-300": (
        CouponTemplateDocument(
            name="20 off 300",
            shop_id="7",
            condition=Condition(min_amount_minor=30000, currencies=CNY),
            effect=AmountOff(2000),
            valid_days=365,
            stack_category="shop",
        ),
        True,
    ),
    "coffee-10": (
        CouponTemplateDocument(
            name="10 % off coffee, 8 at most",
            shop_id="9",
            effect=PercentOff(1000),
            condition=Condition(currencies=USD),
            limits=Limits(max_discount_minor=800),
            valid_days=365,
        ),
        True,
    ),
    "welcome": (
        CouponTemplateDocument(
            name="Welcome: 15 off 99",
            condition=Condition(min_amount_minor=9900, currencies=CNY),
            effect=AmountOff(1500),
            valid_days=30,
            per_buyer_max=1,
            quantity_total=100_000,
            stack_category="platform",
            code="WELCOME15",
        ),
        False,
    ),
    "friends": (
        CouponTemplateDocument(
            name="Friends: 25 % off knitwear",
            shop_id="10",
            scope=Scope(category_ids=["knitwear"]),
            effect=PercentOff(2500),
            valid_days=90,
            codes_count=20,
        ),
        False,
    ),
}

# 1 % back, 100 points are 1.00; half of an order at most.
RATE = PointsRate(earn_bp=100, minor_per_point=1)
POINTS_RULES = PointsRules({"CNY": RATE, "USD": RATE}, cap_bp=5_000)
RED_PACKET_POOL = RedPacketPoolDocument(name="Welcome · 新人红包", currency="CNY")

# A sale of the demo lasts a week: long enough to be found open, and renewed by the next start after it.
FLASH_SALE_LASTS = timedelta(days=7)


def flash_sale(now: datetime) -> FlashSaleDocument:
    """Open from now on."""
    return FlashSaleDocument(
        name="Flash sale · 限时抢购",
        starts_at=now,
        ends_at=now + FLASH_SALE_LASTS,
        items=[
            FlashSaleItem("1001", "CNY", price_minor=5000, quantity=100, per_buyer_max=1),
            FlashSaleItem("2001", "CNY", price_minor=6600, quantity=50, per_buyer_max=2),
            FlashSaleItem("3001", "USD", price_minor=790, quantity=80, per_buyer_max=3),
        ],
    )
