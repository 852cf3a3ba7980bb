"""The shop that is put under load: its catalog as NDJSON, its rules as the admin calls take them.

Leaves documents only. SKU n and SKU n + 500 belong to one shop, so that a cart of these two is one order; the
500 carts cover a thousand SKUs. Prices differ by SKU, so that some carts do not reach the promotion.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from loadtest import rules

CURRENCY = "CNY"
SHOPS = 5
SKUS_PER_ITEM = 2
CARTS = 500
SKUS_MIN = 2 * CARTS
HOT_SKU = "hot"
SOLD_OUT_SKU = "sold-out"
# What groups buy.
GROUP_SHOP, GROUP_ITEM, GROUP_SKU, FREE_SKU = "shop-0", "item-group", "group", "group-free"
PROMOTION_ID = "bench-spend-60"
COUPON_TEMPLATE_ID = "bench-5-off"
# Items on sale by group buying, each in two campaigns; and how many of them one screen asks for.
CAMPAIGN_ITEMS = 100
ITEMS_ASKED = 10
# More than any run can sell: the cases that must not sell out do not.
ON_HAND = 50_000_000


def sku_id(number: int) -> str:
    return f"sku-{number}"


def cart_lines(number: int) -> list[dict[str, Any]]:
    """Two lines of one shop; `number` below `CARTS`."""
    return [line(sku_id(number)), line(sku_id(number + CARTS), 2)]


def line(sku: str, quantity: int = 1) -> dict[str, Any]:
    return {"sku_id": sku, "quantity": quantity}


def asked_items(number: int) -> list[str]:
    """Ten of the items on sale by group buying, others for another number."""
    return [f"item-{(number + 7 * step) % CAMPAIGN_ITEMS}" for step in range(ITEMS_ASKED)]


def campaigns() -> Iterator[dict[str, Any]]:
    """Bodies of `POST /merchant/campaigns`: of an item's two the second is the cheaper one."""
    for item in range(CAMPAIGN_ITEMS):
        for less_minor in (100, 200):
            numbers = range(item * SKUS_PER_ITEM, (item + 1) * SKUS_PER_ITEM)
            yield {"item_id": f"item-{item}", "name": f"Lot {item} with friends",
                   "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2100-01-01T00:00:00Z",
                   "orders_to_succeed": 3, "group_open_s": 86_400,
                   "items": [{"sku_id": sku_id(n), "currency": CURRENCY,
                              "sale_price_minor": _price_minor(n) - less_minor,
                              "settlement_price_minor": 1_000, "total_stock": 100_000}
                             for n in numbers]}  # fmt: skip


def write_catalog(path: Path, skus: int) -> None:
    """An NDJSON file for `rushcart import`."""
    assert skus >= SKUS_MIN, f"the carts need {SKUS_MIN} SKUs"
    with path.open("wb") as file:
        for record in _records(skus):
            file.write(msgspec.json.encode(record) + b"\n")


def _records(skus: int) -> Iterator[dict[str, Any]]:
    for shop in range(SHOPS):
        yield {"shop": {"shop_id": f"shop-{shop}", "name": f"Shop {shop}", "currency": CURRENCY}}
    for item in range(skus // SKUS_PER_ITEM):
        numbers = range(item * SKUS_PER_ITEM, (item + 1) * SKUS_PER_ITEM)
        yield _item(f"item-{item}", f"shop-{item % SHOPS}", [_sku(sku_id(n), n, ON_HAND) for n in numbers])
    yield _item("item-hot", "shop-0", [_sku(HOT_SKU, 1, ON_HAND)])
    yield _item("item-sold-out", "shop-0", [_sku(SOLD_OUT_SKU, 3, 0)])
    yield _item(GROUP_ITEM, GROUP_SHOP, [_sku(sku, 5, ON_HAND) for sku in (GROUP_SKU, FREE_SKU)])
    yield {"shop": {"shop_id": rules.SHOP_ID, "name": "Ruled", "currency": CURRENCY}}
    ruled = [_sku(rules.ruled_sku(n), n, ON_HAND) for n in range(rules.RULED_SKUS)]
    yield _item("item-ruled", rules.SHOP_ID, ruled)


def _item(item_id: str, shop_id: str, skus: list[dict[str, Any]]) -> dict[str, Any]:
    return {"item_id": item_id, "shop_id": shop_id, "title": f"Oolong tea, lot {item_id}",
            "item_type": "physical", "category_ids": ["tea", f"lot-{shop_id}"], "skus": skus}  # fmt: skip


def _sku(name: str, number: int, on_hand: int) -> dict[str, Any]:
    price_minor = _price_minor(number)
    return {"sku_id": name, "attributes": {"size": "L" if number % 2 else "S"}, "weight_grams": 250,
            "prices": {CURRENCY: {"price_minor": price_minor, "list_price_minor": price_minor + 500}},
            "on_hand": on_hand}  # fmt: skip


def _price_minor(number: int) -> int:
    return 1_500 + number * 37 % 6_000


def promotion() -> dict[str, Any]:
    """Body of `PUT /admin/promotions/{id}`."""
    return {"name": "Spend 60 save 10", "lane": "shop", "condition": {"min_amount_minor": 6_000},
            "effect": {"kind": "amount_off", "amount_minor": 1_000, "per": "order"}}  # fmt: skip


def coupon_template() -> dict[str, Any]:
    """Body of `PUT /admin/coupon_templates/{id}`; every cart of two lines reaches its minimum."""
    return {"name": "5 off 20", "valid_days": 30, "condition": {"min_amount_minor": 2_000},
            "effect": {"kind": "amount_off", "amount_minor": 500, "per": "order"}}  # fmt: skip
