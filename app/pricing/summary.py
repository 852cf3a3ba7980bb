"""Builds the contract's summary from what the rules gave.

Enters: lines, the finished walk, and what was rejected. Leaves: `Priced`. It adds up what walk.py decided and
decides nothing itself; `payable = goods − discount` holds for each line, each shop and the whole, until
charges.py adds freight and tax.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from msgspec import Struct

from app.pricing.gifts import SOLD_OUT, Gifts, Hints
from app.pricing.limits import SPENT, RuleUse, with_use
from app.pricing.lines import Basket, Line
from app.pricing.priced import Priced, PricedLine
from app.pricing.schemas import Discount, FxRate, LineSummary, Rejected, ShopSummary, Summary
from app.pricing.walk import Entry, Miss, Step, Walk, rejection

# A promotion that only lacks its minimum is worth telling; a screen full of them is not.
NEAR_MISSES_MAX = 10
# Why a promotion gave nothing, where the buyer can do something about it or was promised it a moment ago.
TOLD_OF_PROMOTIONS = SPENT | {"minimum_not_met", "region_not_served", "channel_not_served"}

# Where a line keeps what each kind has taken off it.
PART_OF_KIND = {kind: f"{kind}_minor" for kind in ("coupon", "points", "gift_card", "red_packet")}


def rejections(misses: Sequence[Miss]) -> list[Rejected]:
    """What was asked for and gave nothing, and promotions that only lack their minimum."""
    rejected: list[Rejected] = []
    near_misses = 0
    for miss in misses:
        if miss.entry.rule.kind == "promotion" and not miss.entry.chosen:
            near_misses += miss.code in TOLD_OF_PROMOTIONS
            if miss.code not in TOLD_OF_PROMOTIONS or near_misses > NEAR_MISSES_MAX:
                continue
        rejected.append(rejection(miss))
    return rejected


class Sums(Struct, gc=False, eq=False):
    """The steps of a walk, counted for the whole."""

    # by kind, beside promotions, which are most of the rules: theirs is what remains
    totals: dict[str, int]
    applied: list[Discount]
    coupons: dict[str, int]
    uses: list[RuleUse]


def summarize(
    basket: Basket,
    walk: Walk,
    gifts: Gifts,
    rejected: list[Rejected],
    hints: Hints | None,
    quote_id: str,
    quote_ttl_s: int,
) -> Priced:
    priced_lines = [
        _priced_line(line, left_minor, hints)
        for line, left_minor in zip(basket.lines, walk.left, strict=True)
    ]
    sums = _add_up(walk.steps, priced_lines)
    totals, applied, uses = sums.totals, sums.applied, sums.uses
    priced_lines += gifts.lines
    for line, (entry, discount) in zip(gifts.lines, gifts.applied, strict=True):
        line.given.append((len(applied), 0, 0))
        applied.append(discount)
        uses = _count_gift(entry, sums.coupons, uses)
    shops = group_by_shop(priced_lines)
    goods_minor = sum([shop.goods_minor for shop in shops])
    payable_minor = sum(walk.left)
    freight_minor = tax_minor = 0
    points_used = points_earned = 0  # counted by deductions.py
    # By position: naming eighteen fields takes longer than adding up the cart.
    summary = Summary(
        quote_id,
        _moment(basket.now_ms // 1000 + quote_ttl_s),
        basket.currency,
        goods_minor,
        goods_minor - payable_minor - sum(totals.values()),
        totals.get("coupon", 0),
        totals.get("points", 0),
        totals.get("gift_card", 0),
        totals.get("red_packet", 0),
        freight_minor,
        tax_minor,
        payable_minor,
        points_used,
        points_earned,
        shops,
        applied,
        rejected,
        [f"{SOLD_OUT}: {each.gift.sku_id}" for each in gifts.gone] if gifts.gone else [],
    )
    return Priced(summary, priced_lines, basket.flash_sale, sums.coupons, uses=uses)


def _add_up(steps: Sequence[Step], lines: Sequence[PricedLine]) -> Sums:
    """Tell each line what lowered it, and count it for the whole."""
    told = [line.summary.discounts for line in lines]
    given = [line.given for line in lines]
    totals: dict[str, int] = {}
    applied: list[Discount] = []
    coupons: dict[str, int] = {}
    uses: list[RuleUse] = []
    for place, step in enumerate(steps):
        entry, indexes, total_minor = step.entry, step.indexes, step.total_minor
        rule, rule_id = entry.rule, entry.rule_id
        kind = rule.kind
        whole = Discount(kind, rule_id, rule.name, total_minor)
        applied.append(whole)
        if len(indexes) == 1:
            index = indexes[0]
            told[index].append(whole)
            given[index].append((place, total_minor, 0))
        else:
            for index, amount in zip(indexes, step.amounts, strict=True):
                if amount:
                    told[index].append(Discount(kind, rule_id, rule.name, amount))
                    given[index].append((place, amount, 0))
        if kind != "promotion":
            if kind == "coupon":
                coupons[rule_id] = total_minor
            totals[kind] = totals.get(kind, 0) + total_minor
            _keep_apart(step, lines)
        if rule.use_limits is not None:
            uses = with_use(uses, kind, rule.rule_id, rule.use_limits, total_minor)
    return Sums(totals, applied, coupons, uses)


@lru_cache(maxsize=16)  # all quotes of a second end in the same one
def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _count_gift(entry: Entry, coupons: dict[str, int], uses: list[RuleUse]) -> list[RuleUse]:
    rule = entry.rule
    if rule.kind == "coupon":
        coupons[entry.rule_id] = 0
    if rule.use_limits is None:
        return uses
    return with_use(uses, rule.kind, rule.rule_id, rule.use_limits, 0)


def _priced_line(line: Line, left_minor: int, hints: Hints | None) -> PricedLine:
    sku = line.sku
    quantity = line.quantity
    discount_minor = line.goods_minor - left_minor
    free = None if hints is None else hints.get(line.pool_id)
    limit = line.quantity_limit
    max_quantity = limit if free is None or free > limit else free
    summary = LineSummary(
        sku.sku_id,
        quantity,
        line.unit_price_minor,
        line.list_price_minor,
        line.goods_minor,
        discount_minor,
        0,
        0,
        left_minor,
        quantity <= max_quantity,
        max_quantity,
        [],
        activities=line.in_force.activities,
    )
    return PricedLine(sku, line.pool_id, summary, discount_minor, [])


def _keep_apart(step: Step, lines: Sequence[PricedLine]) -> None:
    """Count its part of each line's discount as its kind's own instead of the promotions'."""
    field = PART_OF_KIND[step.entry.rule.kind]
    for index, amount in zip(step.indexes, step.amounts, strict=True):
        line = lines[index]
        line.promotion_minor -= amount
        setattr(line, field, getattr(line, field) + amount)


def name_rates(priced: Priced, basket: Basket) -> None:
    """Say with which rates each shop's amounts were converted."""
    for shop in priced.summary.shops:
        rates = [rate for (shop_id, _), rate in basket.rates.items() if shop_id == shop.shop_id]
        shop.fx_rates = [FxRate(each.base, each.currency, each.rate, each.valid_from) for each in rates]


def group_by_shop(lines: Sequence[PricedLine]) -> list[ShopSummary]:
    by_shop: dict[str, list[LineSummary]] = {}
    for line in lines:
        by_shop.setdefault(line.sku.shop_id, []).append(line.summary)
    shops = []
    for shop_id, summaries in by_shop.items():
        goods_minor = freight_minor = tax_minor = payable_minor = 0
        for summary in summaries:
            goods_minor += summary.goods_minor
            freight_minor += summary.freight_minor
            tax_minor += summary.tax_minor
            payable_minor += summary.payable_minor
        discount_minor = goods_minor + freight_minor + tax_minor - payable_minor
        shops.append(
            ShopSummary(
                shop_id, goods_minor, discount_minor, freight_minor, tax_minor, payable_minor, summaries
            )
        )
    return shops
