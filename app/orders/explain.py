"""How an order came to its price: the rules as they were then, applied again, beside what was recorded.

Enters an order of any age, leaves each step, and whether the replay gives what the order's lines say. Of
orders from before freight templates and tax rules were kept, promotions and coupons alone are replayed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.ids import parse_id
from app.lib.sql import load
from app.orders.errors import OrderNotFound
from app.orders.replay import Given, Replay, Row, Versions, gather, given_by, is_gift
from app.orders.replay_charges import add_charges_of_then
from app.orders.schemas import (
    ExplainedPriceChange,
    LineDiscount,
    OrderPricing,
    PricedOrderLine,
    PricingDifference,
)
from app.pricing.book import PriceBook
from app.pricing.explain import Explained, ExplainedStep, explain
from app.pricing.explain_charges import ExplainedCharge
from app.pricing.priced import PricedWith
from app.pricing.schemas import Rejected

sql = load("explain")

RULES = ("promotion", "coupon")
MEANS_AND_CHARGES = ("points", "red_packet", "gift_card", "freight", "tax", "tax_included")
PRICE_CHANGE = "price_change"
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
    changes = await services.pool.fetch(sql.price_changes_of, list({line["order_id"] for line in own}))
    told = OrderPricing(
        order_id=order_id,
        currency=root["currency"],
        quote_id=root["quote_id"],
        priced_with=priced_with,
        lines=[_line(line) for line in own],
        steps=[],
        charges=[],
        price_changes=[_price_change(row) for row in changes],
        rejected=[],
        replayed=[],
        adds_up=all(_adds_up(line) for line in own)
        and sum(line["payable_minor"] for line in own) == root["payable_minor"],
        matches=None,
        differences=[],
    )
    if priced_with:
        replay = await _replay(services, root, priced_with, lines)
        _tell(told, replay, root["shop_id"], own)
    return told


async def _replay(services: Services, root: Row, priced_with: PricedWith, lines: Sequence[Row]) -> Replay:
    replay = await gather(services.pool, priced_with, root["currency"], lines, services.settings.lanes)
    if priced_with.charges_version is None:
        return replay
    return await add_charges_of_then(services.pool, replay, root, priced_with, lines)


def _tell(told: OrderPricing, replay: Replay, shop_id: str | None, own: Sequence[Row]) -> None:
    """What concerns the lines of this order, of all that is replayed."""
    priced_with = told.priced_with
    assert priced_with is not None, "it is what is replayed"
    explained = explain(replay.cart, replay.book, replay.buyer, replay.at_ms)
    sku_ids = {line["sku_id"] for line in own}
    told.steps = _steps(explained, sku_ids, replay.versions)
    told.charges = _charges(explained, sku_ids, replay.versions)
    told.rejected = [
        *(each for each in explained.rejected if _concerns(shop_id, each, replay.book)),
        *(Rejected(_kind(each, priced_with), each, "", code) for each, code in priced_with.left_out),
    ]
    told.replayed = [*RULES, *(MEANS_AND_CHARGES if priced_with.charges_version is not None else ())]
    recorded, replayed = _recorded(own), _replayed(told)
    if told.price_changes:
        told.replayed.append(PRICE_CHANGE)
        for given, changed in zip((recorded, replayed), _changed(told.price_changes, own), strict=True):
            given |= changed
    told.differences = _differences(recorded, replayed, told.replayed)
    told.matches = not told.differences


def _concerns(shop_id: str | None, rejected: Rejected, book: PriceBook) -> bool:
    """Not another shop's promotion, where a shop looks at its part."""
    rule = book.promotions.get(rejected.rule_id)
    return shop_id is None or rule is None or rule.shop_id in (None, shop_id)


def _kind(rule_id: str, priced_with: PricedWith) -> str:
    return "coupon" if rule_id in priced_with.coupon_ids else "promotion"


def _steps(explained: Explained, sku_ids: set[str], versions: Versions) -> list[ExplainedStep]:
    steps = []
    for step in explained.steps:
        lines = [line for line in step.lines if line.sku_id in sku_ids]
        if lines or not step.lines:
            own = replace(
                step,
                lines=lines,
                gave_minor=sum(each.gave_minor for each in lines),
                looked_at_minor=sum(each.looked_at_minor for each in lines),
                version=versions.get((step.kind, step.rule_id)),
            )
            steps.append(own)
    return steps


def _charges(explained: Explained, sku_ids: set[str], versions: Versions) -> list[ExplainedCharge]:
    charges = []
    for charge in explained.charges:
        if lines := [line for line in charge.lines if line.sku_id in sku_ids]:
            table = "freight" if charge.kind == "freight" else "tax"
            own = replace(
                charge,
                lines=lines,
                amount_minor=sum(each.amount_minor for each in lines),
                looked_at=sum(each.looked_at for each in lines),
                version=versions.get((table, charge.rule_id)),
            )
            charges.append(own)
    return charges


def _recorded(own: Iterable[Row]) -> Given:
    recorded: Given = {}
    for line in own:
        if not is_gift(line):
            recorded |= given_by(line)
            for kind in ("freight", "tax", "tax_included"):
                recorded[line["sku_id"], kind, ""] = line[f"{kind}_minor"]
    return recorded


def _replayed(told: OrderPricing) -> Given:
    replayed: Given = {}

    def add(sku_id: str, kind: str, rule_id: str, amount_minor: int) -> None:
        replayed[sku_id, kind, rule_id] = replayed.get((sku_id, kind, rule_id), 0) + amount_minor

    for step in told.steps:
        for line in step.lines:
            add(line.sku_id, step.kind, step.rule_id, line.gave_minor)
    for charge in told.charges:
        for charged in charge.lines:
            add(charged.sku_id, charge.kind, "", charged.amount_minor - charged.freed_minor)
    return replayed


def _changed(changes: Iterable[ExplainedPriceChange], own: Sequence[Row]) -> tuple[Given, Given]:
    """What the lines say of a seller's change, and what the last change of their order says."""
    last = {change.order_id: change for change in changes}
    recorded: Given = {}
    replayed: Given = {}
    for line in own:
        if (change := last.get(str(line["order_id"]))) is not None:
            key = line["sku_id"], PRICE_CHANGE, change.change_id
            recorded[key] = recorded.get(key, 0) + line["price_change_minor"]
            replayed[key] = replayed.get(key, 0) + change.lines.get(str(line["line_id"]), 0)
    return recorded, replayed


def _price_change(row: Row) -> ExplainedPriceChange:
    after = {each["line_id"]: each["after_minor"] for each in row["lines"]}
    return ExplainedPriceChange(**{**row, "lines": after})


def _differences(recorded: Given, replayed: Given, kinds: Sequence[str]) -> list[PricingDifference]:
    keys = {key for key in (*recorded, *replayed) if key[1] in kinds}
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
