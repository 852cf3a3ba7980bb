"""How an order came to its price: the rules as they were then, applied again, beside what was recorded.

Enters an order of any age, leaves each step, and whether the replay gives what the order's lines say.
Replayed are promotions and coupons; means of payment, freight, tax and a seller's change stand as recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.ids import parse_id
from app.lib.sql import load
from app.orders.errors import OrderNotFound
from app.orders.replay import Given, Row, gather, given_by, is_gift
from app.orders.schemas import LineDiscount, OrderPricing, PricedOrderLine, PricingDifference
from app.pricing.book import PriceBook
from app.pricing.explain import Explained, explain
from app.pricing.priced import PricedWith
from app.pricing.schemas import Rejected

sql = load("explain")

REPLAYED = ("promotion", "coupon")
KINDS = {
    "promotion": "promotion_discount_minor",
    "coupon": "coupon_discount_minor",
    "points": "points_discount_minor",
    "red_packet": "red_packet_minor",
    "gift_card": "gift_card_minor",
}


async def explain_order(services: Services, staff: Caller, order_id: str) -> OrderPricing:
    """For an operator, or a merchant and its own shop's order. Raises OrderNotFound."""
    number = parse_id(order_id)
    root = await services.pool.fetchrow(sql.read_root, number)
    if root is None or (staff.role != "op" and root["shop_id"] != staff.shop_id):
        raise OrderNotFound()
    priced_with = root["priced_with"] and msgspec.convert(root["priced_with"], PricedWith)
    lines = await services.pool.fetch(
        sql.read_lines, root["root_id"], priced_with.catalog_version if priced_with else 0
    )
    own = [line for line in lines if root["shop_id"] is None or line["order_id"] == number]
    explained = Explained([], [])
    if priced_with:
        replay = await gather(services.pool, priced_with, root["currency"], lines, services.settings.lanes)
        explained = explain(replay.cart, replay.book, replay.buyer, replay.at_ms)
        explained.rejected[:] = [
            *(each for each in explained.rejected if _concerns(root["shop_id"], each, replay.book)),
            *(Rejected(_kind(each, priced_with), each, "", code) for each, code in priced_with.spent),
        ]
    return _pricing(root, priced_with, own, explained, order_id)


def _concerns(shop_id: str | None, rejected: Rejected, book: PriceBook) -> bool:
    """Not another shop's promotion, where a shop looks at its part."""
    rule = book.promotions.get(rejected.rule_id)
    return shop_id is None or rule is None or rule.shop_id in (None, shop_id)


def _kind(rule_id: str, priced_with: PricedWith) -> str:
    return "coupon" if rule_id in priced_with.coupon_ids else "promotion"


def _pricing(
    root: Row, priced_with: PricedWith | None, own: Sequence[Row], explained: Explained, order_id: str
) -> OrderPricing:
    """What concerns the lines of this order, of all that was replayed."""
    recorded: Given = {}
    for line in own:
        if not is_gift(line):
            recorded |= given_by(line)
    sku_ids = {line["sku_id"] for line in own}
    steps = []
    replayed: Given = {}
    for step in explained.steps:
        lines = [line for line in step.lines if line.sku_id in sku_ids]
        if lines or not step.lines:
            gave, looked_at = (
                sum(each.gave_minor for each in lines),
                sum(each.looked_at_minor for each in lines),
            )
            steps.append(
                msgspec.structs.replace(step, lines=lines, gave_minor=gave, looked_at_minor=looked_at)
            )
        replayed |= {(line.sku_id, step.kind, step.rule_id): line.gave_minor for line in lines}
    differences = _differences(recorded, replayed) if priced_with else []
    return OrderPricing(
        order_id=order_id,
        currency=root["currency"],
        quote_id=root["quote_id"],
        priced_with=priced_with,
        lines=[_line(line) for line in own],
        steps=steps,
        rejected=explained.rejected,
        adds_up=all(_adds_up(line) for line in own)
        and sum(line["payable_minor"] for line in own) == root["payable_minor"],
        matches=not differences if priced_with else None,
        differences=differences,
    )


def _differences(recorded: Given, replayed: Given) -> list[PricingDifference]:
    keys = {key for key in (*recorded, *replayed) if key[1] in REPLAYED}
    return [
        PricingDifference(*key, recorded.get(key, 0), replayed.get(key, 0))
        for key in sorted(keys)
        if recorded.get(key, 0) != replayed.get(key, 0)
    ]


def _line(line: Row) -> PricedOrderLine:
    wanted: dict[str, Any] = {name: line[name] for name in PricedOrderLine.__struct_fields__}
    discounts = [msgspec.convert(each, LineDiscount) for each in line["discounts"] or ()]
    return PricedOrderLine(**{**wanted, "line_id": str(line["line_id"]), "discounts": discounts})


def _adds_up(line: Row) -> bool:
    """Its columns come to its payable amount, and each kind's column to what its rules gave."""
    given = dict.fromkeys(KINDS, 0)
    for each in line["discounts"] or ():
        given[each["kind"]] += each["amount_minor"]
    off = sum(line[column] for column in KINDS.values()) + line["price_change_minor"]
    charges = line["freight_minor"] + line["tax_minor"]
    return bool(
        all(given[kind] == line[column] for kind, column in KINDS.items())
        and line["payable_minor"] == line["goods_minor"] - off + charges
    )
