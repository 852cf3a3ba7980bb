"""Before a promotion is published: what it meets, and how low it makes prices together with what it meets.

Pure but for letting others run: enters a price book and the draft, leaves a report. Every SKU in the draft's
scope is looked at; priced are at most SKUS_PRICED_MAX of them, of each set of rules the cheapest first, since
an amount off weighs most there (lowest.py). Flash sales and bills are not considered.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime, timedelta
from heapq import nsmallest
from itertools import zip_longest
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app.catalog.snapshot import Sku
from app.pricing.book import PriceBook
from app.pricing.buyer import BuyerCoupon
from app.pricing.rules import ALWAYS_MS, EPOCH, NEVER_MS, Rule
from app.promotions.lowest import (
    Draft,
    Lowest,
    has_price,
    is_lowered,
    least_price,
    left_part,
    lowers,
    lowest_of,
    meet,
)

# Some 20 ms of the loop, then others run; where rules name many regions, a few times that.
SKUS_AT_A_TIME = 1_000
PRICED_AT_A_TIME = 10
# Each in a few carts: about a second for all of them.
SKUS_PRICED_MAX = 1_000
# As many as a person reads.
SKUS_NAMED_MAX = 20
LOWEST_MAX = 20
VIOLATIONS_MAX = 100
COUPONS_MAX = 20
# Of a currency: one may be the SKU that is priced itself.
COMPANIONS_MAX = 2
NO_CHARGES: dict[str, Any] = {"freight_templates": {}, "tax_rules": {}, "taxes_by_region": {}}


class Collision(Struct, frozen=True):
    """Another live or scheduled promotion on some of the same SKUs at the same time.

    `relation`: `stacks` (both apply), `excludes` (an exclusive one keeps the other off its line), or
    `choice_group` (the better one for the buyer applies). The times are those of both together.
    """

    promotion_id: str
    name: str
    lane: str
    relation: str
    starts_at: datetime | None
    ends_at: datetime | None
    skus_count: int
    sku_ids: list[str]


class PromotionCheck(Struct, frozen=True):
    """`lowest`: those that lose the largest part of their price.

    `violations`: those that the draft, with all that applies beside it, brings below their floor.
    """

    collisions: list[Collision]
    lowest: list[Lowest]
    violations: list[Lowest]
    violations_count: int
    skus_in_scope: int
    skus_priced: int


async def check_promotion(
    book: PriceBook, rule: Rule, *, floor_bp: int, now_ms: int, with_coupons: bool = False
) -> PromotionCheck:
    """`floor_bp`: no price below this part of the SKU's own; its cost is a floor in any case."""
    coupons = _offered(book) if with_coupons else {}
    book = replace(book.with_promotions([rule]), uses={}, **NO_CHARGES)
    draft = Draft(book, rule, floor_bp, now_ms, coupons)
    groups = await _group_skus(draft)
    chosen = _sample(rule, groups)
    companions = _companions(rule, groups)
    lowest: list[Lowest] = []
    for place, sku in enumerate(chosen):
        if place % PRICED_AT_A_TIME == 0:
            await asyncio.sleep(0)
        lowest += lowest_of(draft, sku, companions)
    lowest.sort(key=left_part)
    violations = [each for each in lowest if each.lowest_minor < each.floor_minor and is_lowered(draft, each)]
    return PromotionCheck(
        _collisions(draft, groups),
        lowest[:LOWEST_MAX],
        violations[:VIOLATIONS_MAX],
        len(violations),
        sum(len(skus) for skus in groups.values()),
        len(chosen),
    )


def has_floors(book: PriceBook, rule: Rule, floor_bp: int) -> bool:
    """Whether any SKU that it may lower has a floor that could be broken."""
    return any((floor_bp or sku.costs) and has_price(sku) and lowers(rule, sku) for sku in book.skus.values())


async def _group_skus(draft: Draft) -> dict[tuple[Rule, ...], list[Sku]]:
    """The SKUs in the draft's scope, by the rules that they meet while it is in force."""
    groups: defaultdict[tuple[Rule, ...], list[Sku]] = defaultdict(list)
    for place, sku in enumerate(draft.book.skus.values()):
        if place % SKUS_AT_A_TIME == 0:
            await asyncio.sleep(0)
        if draft.rule.covers(sku) or lowers(draft.rule, sku):
            met = [each for each in draft.book.rules_of(sku) if meet(draft.rule, each)]
            groups[tuple(met)].append(sku)
    return groups


def _collisions(draft: Draft, groups: dict[tuple[Rule, ...], list[Sku]]) -> list[Collision]:
    skus_by_rule: defaultdict[Rule, list[Sku]] = defaultdict(list)
    for rules, skus in groups.items():
        for other in rules:
            if other is not draft.rule:
                skus_by_rule[other] += skus
    return [
        Collision(
            other.rule_id,
            other.name,
            draft.book.lanes[other.lane],
            _relation(draft.rule, other),
            _time(max(draft.rule.starts_at_ms, other.starts_at_ms)),
            _time(min(draft.rule.ends_at_ms, other.ends_at_ms)),
            len(skus),
            sorted(sku.sku_id for sku in skus)[:SKUS_NAMED_MAX],
        )
        for other, skus in sorted(skus_by_rule.items(), key=lambda found: found[0].order)
    ]


def _relation(rule: Rule, other: Rule) -> str:
    if rule.choice_group is not None and rule.choice_group == other.choice_group:
        return "choice_group"
    if rule.lane == other.lane and (rule.exclusive or other.exclusive):
        return "excludes"
    return "stacks"


def _time(time_ms: int) -> datetime | None:
    return None if time_ms in (ALWAYS_MS, NEVER_MS) else EPOCH + timedelta(milliseconds=time_ms)


def _sample(rule: Rule, groups: dict[tuple[Rule, ...], list[Sku]]) -> list[Sku]:
    """Of what it may lower one of each group after the other, the cheapest of each first."""
    lowered = [[sku for sku in skus if has_price(sku) and lowers(rule, sku)] for skus in groups.values()]
    cheapest_first = [sorted(skus, key=least_price) for skus in lowered]
    mixed = (sku for row in zip_longest(*cheapest_first) for sku in row if sku is not None)
    return [sku for _, sku in zip(range(SKUS_PRICED_MAX), mixed, strict=False)]


def _companions(rule: Rule, groups: dict[tuple[Rule, ...], list[Sku]]) -> list[Sku]:
    """What is bought for a rule that lowers something else: the cheapest in scope that cost anything."""
    if rule.aim is None:
        return []
    bought = [sku for skus in groups.values() for sku in skus if has_price(sku) and rule.covers(sku)]
    found: list[Sku] = []
    for currency in {currency for sku in bought for currency in sku.prices}:
        sold = [sku for sku in bought if sku.prices.get(currency, (0, 0))[0]]
        found += nsmallest(COMPANIONS_MAX, sold, key=lambda sku: sku.prices[currency])
    return found


def _offered(book: PriceBook) -> dict[str, BuyerCoupon]:
    """One coupon of each template that is open to everybody."""
    templates = sorted(book.offers)[:COUPONS_MAX]
    return {each: BuyerCoupon(each, each, "available", ALWAYS_MS, NEVER_MS) for each in templates}
