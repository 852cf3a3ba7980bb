"""How low a draft brings a SKU's price, together with everything that applies beside it.

Pure. Enters a draft and a SKU, leaves its lowest price in each currency: in a cart that meets the draft (with
other SKUs where the draft wants some), for a buyer who meets it, in the quantities and at the moments where
the most rules apply. Freight and tax are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product

from msgspec import Struct

from app.catalog.snapshot import Sku
from app.lib.bounds import QUANTITY_MAX
from app.lib.money import WHOLE_BP
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer, BuyerCoupon
from app.pricing.documents import Bundle, BuyXGetY
from app.pricing.engine import apply_rules
from app.pricing.lines import BILL, resolve
from app.pricing.rules import Rule
from app.pricing.schemas import CartLine, CartRequest

QUANTITIES_MAX = 4
MOMENTS_MAX = 4
# Of buyers who meet the draft, those who meet the most other rules.
BUYERS_MAX = 4
# Regions and channels that are looked at to find them: those that the most rules name.
PLACES_MAX = 8
MILLION = 1_000_000


class Lowest(Struct, frozen=True):
    """What so many of a SKU cost at the least, and with which rules. `floor_minor` 0: it has no floor.

    `goods_minor` is what everybody pays for them; a member's price may be lower already.
    """

    sku_id: str
    currency: str
    quantity: int
    goods_minor: int
    lowest_minor: int
    floor_minor: int
    rule_ids: list[str]


class Draft(Struct, frozen=True):
    """`book` has it, and neither freight nor tax. `coupons` are those that everybody may have."""

    book: PriceBook
    rule: Rule
    floor_bp: int
    now_ms: int
    coupons: Mapping[str, BuyerCoupon] = {}
    # found already: for these rules and member prices, who meets them
    buyers: dict[tuple[frozenset[Rule], frozenset[str]], list[Buyer]] = {}


def has_price(sku: Sku) -> bool:
    """A bill's is given at the counter."""
    return sku.item_type != BILL


def lowers(rule: Rule, sku: Sku) -> bool:
    """Whether it may lower this SKU, and does not only count it."""
    return (rule.reach if rule.aim is None else rule.aim).covers(sku)


def meet(rule: Rule, other: Rule) -> bool:
    """In force at one time, for one currency."""
    overlap = rule.starts_at_ms < other.ends_at_ms and other.starts_at_ms < rule.ends_at_ms
    return overlap and not (
        rule.currencies and other.currencies and rule.currencies.isdisjoint(other.currencies)
    )


def least_price(sku: Sku) -> int:
    return min(price for price, _ in sku.prices.values())


def lowest_of(draft: Draft, sku: Sku, companions: Sequence[Sku]) -> Iterator[Lowest]:
    """In each currency the worst of all carts, buyers and moments: what is furthest below its floor.

    Of those in which the draft gives something, if there are any. `companions`: what it may be bought beside.
    """
    rules = [each for each in draft.book.rules_of(sku) if meet(draft.rule, each)]
    coupons = [draft.book.templates[each.template_id] for each in draft.coupons.values()]
    met = frozenset([draft.rule, *rules, *coupons])
    levels = frozenset(tag for prices in (sku.member_prices or {}).values() for tag, _ in prices)
    buyers = draft.buyers.get((met, levels))
    if buyers is None:
        buyers = draft.buyers[met, levels] = _buyers(draft, met, levels)
    for currency, (price_minor, _) in sku.prices.items():
        if draft.rule.currencies and currency not in draft.rule.currencies:
            continue
        beside = _beside(draft, sku, currency, companions)
        found = [
            _priced(draft, sku, currency, CartLine(sku.sku_id, quantity), beside, moment_ms, buyer)
            for quantity in _quantities(draft.rule, sku, rules, price_minor)
            for moment_ms in _moments(draft, rules)
            for buyer in buyers
        ]
        yield min([each for each in found if is_lowered(draft, each)] or found, key=left_part)


def is_lowered(draft: Draft, priced: Lowest) -> bool:
    """Whether the draft has a part in the price."""
    return draft.rule.rule_id in priced.rule_ids


def left_part(priced: Lowest) -> tuple[int, int, str]:
    """The furthest below its floor first, then what loses the largest part of its price; in millionths."""
    below = min(0, priced.lowest_minor - priced.floor_minor) * MILLION
    whole = priced.goods_minor or 1
    return below // whole, priced.lowest_minor * MILLION // whole, priced.sku_id


def _priced(
    draft: Draft,
    sku: Sku,
    currency: str,
    line: CartLine,
    beside: Sequence[CartLine],
    moment_ms: int,
    buyer: Buyer,
) -> Lowest:
    cart = CartRequest(currency, [line, *beside], auto_coupons=bool(buyer.coupons))
    basket = resolve(cart, draft.book, moment_ms, buyer.tags)
    walk, _ = apply_rules(cart, draft.book, buyer, basket)
    goods_minor = sku.prices[currency][0] * line.quantity
    cost_minor = line.quantity * (sku.costs or {}).get(currency, 0)
    part_minor = -(-goods_minor * draft.floor_bp // WHOLE_BP)
    steps = [step for step in walk.steps if _gave(step.indexes, step.amounts)]
    rule_ids = [step.entry.rule.rule_id for step in steps]
    floor_minor = max(cost_minor, part_minor)
    return Lowest(sku.sku_id, currency, line.quantity, goods_minor, walk.left[0], floor_minor, rule_ids)


def _gave(indexes: Sequence[int], amounts: Sequence[int]) -> bool:
    """Anything to the SKU's own line, which is the first."""
    return any(index == 0 and amount for index, amount in zip(indexes, amounts, strict=True))


def _beside(draft: Draft, sku: Sku, currency: str, companions: Sequence[Sku]) -> list[CartLine]:
    """What the draft wants bought with it: the rest of a bundle, or the cheapest in scope."""
    rule, skus = draft.rule, draft.book.skus
    if isinstance(rule.effect, Bundle):
        rest = {each: count for each, count in rule.effect.sku_quantities.items() if each != sku.sku_id}
        sold = all(each in skus and has_price(skus[each]) and currency in skus[each].prices for each in rest)
        return [CartLine(each, count) for each, count in rest.items()] if sold else []
    others = [each for each in companions if each is not sku and each.prices.get(currency, (0, 0))[0]]
    if not others:
        return []
    other = min(others, key=lambda each: each.prices[currency])
    # twice what the condition asks for: other rules may lower it
    by_amount = 2 * -(-rule.min_amount_minor // other.prices[currency][0])
    return [CartLine(other.sku_id, min(QUANTITY_MAX, max(1, rule.min_quantity, by_amount)))]


def _quantities(rule: Rule, sku: Sku, rules: Iterable[Rule], price_minor: int) -> Sequence[int]:
    """What the draft lowers at once, one, and where the rules' lowest thresholds are reached."""
    at_once = 1
    match rule.effect:
        case Bundle(sku_quantities=needed):
            at_once = needed.get(sku.sku_id, 1)
        case BuyXGetY(buy_quantity=buy, get_quantity=get):
            at_once = min(QUANTITY_MAX, buy + get) if rule.covers(sku) else get
    wanted = {1}
    for each in rules:
        by_amount = -(-each.min_amount_minor // price_minor) if price_minor else 1
        wanted.add(min(QUANTITY_MAX, max(1, each.min_quantity, by_amount)))
    return [at_once, *sorted(wanted - {at_once})][:QUANTITIES_MAX]


def _moments(draft: Draft, rules: Iterable[Rule]) -> Sequence[int]:
    """When the most rules are in force together: as one of them begins, or now."""
    begins = max(draft.rule.starts_at_ms, draft.now_ms)
    moments = {begins, *(rule.starts_at_ms for rule in rules if begins < rule.starts_at_ms)}
    return sorted(moments)[:MOMENTS_MAX]


def _buyers(draft: Draft, rules: frozenset[Rule], levels: frozenset[str]) -> list[Buyer]:
    """Who meets the draft: members of all levels with every tag, at their first order."""
    audiences = {rule: rule.audience for rule in rules if rule.audience is not None}
    tags = levels.union(*(each.buyer_tags for each in audiences.values()))
    regions = _most_named([each.regions for each in audiences.values()])
    channels = _most_named([each.channels for each in audiences.values()])
    found: dict[frozenset[Rule], Buyer] = {}
    for region, channel in product(regions, channels):
        buyer = Buyer(draft.coupons, region=region, channel=channel, tags=tags, is_first_order=True)
        for_whom = frozenset(rule for rule, each in audiences.items() if each.refuses(buyer) is None)
        if draft.rule.audience is None or draft.rule in for_whom:
            found.setdefault(for_whom, buyer)
    return [found[each] for each in sorted(found, key=len, reverse=True)[:BUYERS_MAX]]


def _most_named(named: Sequence[frozenset[str]]) -> list[str | None]:
    """Those that the most rules name, and none."""
    counts = Counter(place for each in named for place in each)
    return [*sorted(counts, key=lambda place: (-counts[place], place))[:PLACES_MAX], None]
