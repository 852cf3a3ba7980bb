"""Before a promotion is published: what it meets, and how low it makes prices together with what it meets.

Pure but for letting others run: enters a price book and the draft, leaves a report. Every SKU in the draft's
scope is looked at; priced are at most SKUS_PRICED_MAX of them, of each set of rules the cheapest first, since
an amount off weighs most there. Buyers' own conditions, flash sales and bills (whose price is given at the
counter) are not considered.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest

from msgspec import Struct
from msgspec.structs import replace

from app.catalog.snapshot import Sku
from app.lib.bounds import QUANTITY_MAX
from app.lib.money import WHOLE_BP
from app.pricing.book import PriceBook
from app.pricing.buyer import ANONYMOUS, Buyer, BuyerCoupon
from app.pricing.engine import apply_rules
from app.pricing.lines import BILL, resolve
from app.pricing.rules import ALWAYS_MS, EPOCH, NEVER_MS, Rule
from app.pricing.schemas import CartLine, CartRequest

# Some 20 ms of the loop, then others run.
SKUS_AT_A_TIME = 1_000
PRICED_AT_A_TIME = 50
# Each at a few quantities and moments: about a second for all of them.
SKUS_PRICED_MAX = 1_000
QUANTITIES_MAX = 4
MOMENTS_MAX = 4
# As many as a person reads.
SKUS_NAMED_MAX = 20
LOWEST_MAX = 20
VIOLATIONS_MAX = 100
COUPONS_MAX = 20
MILLION = 1_000_000


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


class Lowest(Struct, frozen=True):
    """What so many of a SKU cost at the least, and with which rules. `floor_minor` 0: it has no floor."""

    sku_id: str
    currency: str
    quantity: int
    goods_minor: int
    lowest_minor: int
    floor_minor: int
    rule_ids: list[str]


class PromotionCheck(Struct, frozen=True):
    """`lowest`: those that lose the largest part of their price; `violations`: those below their floor."""

    collisions: list[Collision]
    lowest: list[Lowest]
    violations: list[Lowest]
    violations_count: int
    skus_in_scope: int
    skus_priced: int


class _Draft(Struct, frozen=True):
    book: PriceBook
    rule: Rule
    floor_bp: int
    now_ms: int
    buyer: Buyer


async def check_promotion(
    book: PriceBook, rule: Rule, *, floor_bp: int, now_ms: int, with_coupons: bool = False
) -> PromotionCheck:
    """`floor_bp`: no price below this part of the SKU's own; its cost is a floor in any case."""
    buyer = _with_offers(book) if with_coupons else ANONYMOUS
    draft = _Draft(replace(book.with_promotions([rule]), uses={}), rule, floor_bp, now_ms, buyer)
    groups = await _group_skus(draft)
    chosen = _sample(groups)
    lowest: list[Lowest] = []
    for place, sku in enumerate(chosen):
        if place % PRICED_AT_A_TIME == 0:
            await asyncio.sleep(0)
        lowest += _lowest_of(draft, sku)
    lowest.sort(key=_left_part)
    violations = [each for each in lowest if each.lowest_minor < each.floor_minor]
    return PromotionCheck(
        _collisions(draft, groups),
        lowest[:LOWEST_MAX],
        violations[:VIOLATIONS_MAX],
        len(violations),
        sum(len(skus) for skus in groups.values()),
        len(chosen),
    )


def has_floors(book: PriceBook, rule: Rule, floor_bp: int) -> bool:
    """Whether any SKU in scope has a floor that could be broken."""
    return any((floor_bp or sku.costs) and _has_price(sku) and rule.covers(sku) for sku in book.skus.values())


def _has_price(sku: Sku) -> bool:
    return sku.item_type != BILL


async def _group_skus(draft: _Draft) -> dict[tuple[Rule, ...], list[Sku]]:
    """The SKUs in the draft's scope, by the rules that they meet while it is in force."""
    groups: defaultdict[tuple[Rule, ...], list[Sku]] = defaultdict(list)
    for place, sku in enumerate(draft.book.skus.values()):
        if place % SKUS_AT_A_TIME == 0:
            await asyncio.sleep(0)
        if draft.rule.covers(sku):
            met = [each for each in draft.book.rules_of(sku) if _meet(draft.rule, each)]
            groups[tuple(met)].append(sku)
    return groups


def _meet(rule: Rule, other: Rule) -> bool:
    """In force at one time, for one currency."""
    overlap = rule.starts_at_ms < other.ends_at_ms and other.starts_at_ms < rule.ends_at_ms
    return overlap and not (
        rule.currencies and other.currencies and rule.currencies.isdisjoint(other.currencies)
    )


def _collisions(draft: _Draft, groups: dict[tuple[Rule, ...], list[Sku]]) -> list[Collision]:
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


def _sample(groups: dict[tuple[Rule, ...], list[Sku]]) -> list[Sku]:
    """One of each group after the other, the cheapest of each first."""
    cheapest_first = [sorted(filter(_has_price, skus), key=_least_price) for skus in groups.values()]
    mixed = (sku for row in zip_longest(*cheapest_first) for sku in row if sku is not None)
    return [sku for _, sku in zip(range(SKUS_PRICED_MAX), mixed, strict=False)]


def _least_price(sku: Sku) -> int:
    return min(price for price, _ in sku.prices.values())


def _lowest_of(draft: _Draft, sku: Sku) -> Iterator[Lowest]:
    """In each currency the worst of all quantities and moments: what is furthest below its floor."""
    rules = [each for each in draft.book.rules_of(sku) if _meet(draft.rule, each)]
    for currency, (price_minor, _) in sku.prices.items():
        if draft.rule.currencies and currency not in draft.rule.currencies:
            continue
        found = [
            _priced(draft, sku, currency, quantity, moment_ms)
            for quantity in _quantities(rules, price_minor)
            for moment_ms in _moments(draft, rules)
        ]
        yield min(found, key=_left_part)


def _priced(draft: _Draft, sku: Sku, currency: str, quantity: int, moment_ms: int) -> Lowest:
    cart = CartRequest(currency, [CartLine(sku.sku_id, quantity)], auto_coupons=draft.buyer is not ANONYMOUS)
    basket = resolve(cart, draft.book, moment_ms)
    walk, _ = apply_rules(cart, draft.book, draft.buyer, basket)
    goods_minor = basket.lines[0].goods_minor
    cost_minor = quantity * (sku.costs or {}).get(currency, 0)
    part_minor = -(-goods_minor * draft.floor_bp // WHOLE_BP)
    rule_ids = [step.entry.rule.rule_id for step in walk.steps]
    return Lowest(
        sku.sku_id, currency, quantity, goods_minor, walk.left[0], max(cost_minor, part_minor), rule_ids
    )


def _left_part(priced: Lowest) -> tuple[int, int, str]:
    """The furthest below its floor first, then what loses the largest part of its price; in millionths."""
    below = min(0, priced.lowest_minor - priced.floor_minor) * MILLION
    whole = priced.goods_minor or 1
    return below // whole, priced.lowest_minor * MILLION // whole, priced.sku_id


def _quantities(rules: Iterable[Rule], price_minor: int) -> Sequence[int]:
    """One, and where the rules' lowest thresholds are reached."""
    wanted = {1}
    for rule in rules:
        by_amount = -(-rule.min_amount_minor // price_minor) if price_minor else 1
        wanted.add(min(QUANTITY_MAX, max(1, rule.min_quantity, by_amount)))
    return sorted(wanted)[:QUANTITIES_MAX]


def _moments(draft: _Draft, rules: Iterable[Rule]) -> Sequence[int]:
    """When the most rules are in force together: as one of them begins, or now."""
    begins = max(draft.rule.starts_at_ms, draft.now_ms)
    moments = {begins, *(rule.starts_at_ms for rule in rules if begins < rule.starts_at_ms)}
    return sorted(moments)[:MOMENTS_MAX]


def _with_offers(book: PriceBook) -> Buyer:
    """A buyer who has claimed one coupon of each template that is open to everybody."""
    templates = sorted(book.offers)[:COUPONS_MAX]
    coupons = [BuyerCoupon(each, each, "available", ALWAYS_MS, NEVER_MS) for each in templates]
    return Buyer(coupons={coupon.coupon_id: coupon for coupon in coupons})
