"""Which rules may apply to a cart: its promotions that are on, and the buyer's coupons.

Enters: basket, book, coupons. Leaves: entries in the order of application, and for each coupon that
cannot apply at all the reason, as a `Rejected`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from msgspec.structs import replace

from app.pricing.audience import NotFor
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer, BuyerCoupon
from app.pricing.documents import AddonPrice
from app.pricing.limits import allowance
from app.pricing.lines import Basket
from app.pricing.rules import NEVER_MS, Rule
from app.pricing.schemas import Rejected
from app.pricing.walk import Entry

# Why a coupon cannot be used by this buyer at this time, whatever its rule says to the cart.
NOT_TO_USE = frozenset({"coupon_not_found", "already_used", "not_started", "expired"})

_by_order = attrgetter("order")
_by_lane = attrgetter("rule.lane")


def promotion_entries(basket: Basket) -> list[Entry]:
    """The promotions in their window with a line in scope, in the order of application."""
    lines = basket.lines
    indexes_by_rule: dict[Rule, list[int]] = {}
    for index in basket.tie_order:
        for rule in lines[index].in_force.rules:
            if rule in indexes_by_rule:
                indexes_by_rule[rule].append(index)
            else:
                indexes_by_rule[rule] = [index]
    entries = []
    for rule in sorted(indexes_by_rule, key=_by_order):
        indexes = indexes_by_rule[rule]
        if rule.aim is None and not basket.foreign_shops:  # as nearly all are
            entries.append(Entry(rule, rule.rule_id, indexes))
        elif (entry := _entry(rule, rule.rule_id, indexes, basket)) is not None:
            entries.append(entry)
    return entries


def with_allowances(entries: list[Entry], book: PriceBook, buyer: Buyer, currency: str) -> list[Entry]:
    """The entries; limited rules know what is left of them, others that they are not for this buyer."""
    if not book.limited and not book.for_some:
        return entries
    return [_with_allowance(entry, book, buyer, currency) for entry in entries]


def _with_allowance(entry: Entry, book: PriceBook, buyer: Buyer, currency: str) -> Entry:
    rule = entry.rule
    if rule.audience is not None and (code := rule.audience.refuses(buyer)) is not None:
        return replace(entry, allowance=NotFor(code))
    if rule.use_limits is None:
        return entry
    used = buyer.rule_uses.get((rule.kind, rule.rule_id), 0)
    left = allowance(rule.kind, rule.rule_id, rule.use_limits, book.uses, used, currency)
    return replace(entry, allowance=left)


def coupon_entries(
    coupon_ids: Iterable[str], coupons: Mapping[str, BuyerCoupon], basket: Basket, book: PriceBook
) -> tuple[list[Entry], list[Rejected]]:
    """The coupons that may apply, and why the others may not.

    They come by lane, and in a lane the one that ends sooner first: however an app orders them, the same
    coupons give the same price.
    """
    lines = basket.lines
    entries: list[Entry] = []
    rejected: list[Rejected] = []
    for coupon_id in _soonest_first(set(coupon_ids), coupons):
        coupon = coupons.get(coupon_id)
        rule = None if coupon is None else book.templates.get(coupon.template_id)
        if coupon is None or rule is None:  # somebody else's looks the same as none
            rejected.append(Rejected("coupon", coupon_id, "", "coupon_not_found"))
            continue
        indexes = [index for index in basket.tie_order if rule.covers(lines[index].sku)]
        entry = _entry(rule, coupon_id, indexes, basket) if indexes else None
        code = _unusable(coupon, rule, indexes, basket) or ("not_in_scope" if entry is None else None)
        if code is not None:
            rejected.append(Rejected("coupon", coupon_id, rule.name, code))
        elif entry is not None:
            entries.append(entry)
    if len(entries) > 1:
        entries.sort(key=_by_lane)
    return entries, rejected


def in_order(first: list[Entry], then: list[Entry]) -> list[Entry]:
    """Both together by lane: a deployment may have its coupons before some of its promotions."""
    if not then:
        return first
    if not first or first[-1].rule.lane < then[0].rule.lane:
        return first + then
    return sorted(first + then, key=_by_lane)


def _entry(rule: Rule, rule_id: str, indexes: Sequence[int], basket: Basket) -> Entry | None:
    """None where the cart has nothing that the rule could lower."""
    lines = basket.lines
    if basket.foreign_shops and rule.home_only:
        indexes = _at_home(indexes, basket)
        if not indexes:
            return None
    if rule.aim is None:
        return Entry(rule, rule_id, indexes)
    aimed = [index for index in basket.tie_order if rule.aim.covers(lines[index].sku)]
    if basket.foreign_shops and rule.home_only:
        aimed = _at_home(aimed, basket)
    if isinstance(rule.effect, AddonPrice):  # it comes beside other lines
        indexes = [index for index in indexes if index not in aimed]
    return Entry(rule, rule_id, indexes, aimed) if indexes and aimed else None


def _at_home(indexes: Sequence[int], basket: Basket) -> list[int]:
    """The lines of shops that sell in the cart's currency."""
    return [index for index in indexes if basket.lines[index].sku.shop_id not in basket.foreign_shops]


def _soonest_first(coupon_ids: set[str], coupons: Mapping[str, BuyerCoupon]) -> list[str]:
    if len(coupon_ids) < 2:
        return list(coupon_ids)
    ends = {each: coupons[each].valid_to_ms if each in coupons else NEVER_MS for each in coupon_ids}
    # A code comes after the coupons in hand, as the coupon that it becomes will: ids grow with time.
    return sorted(coupon_ids, key=lambda each: (ends[each], not each.isdecimal(), each))


def _unusable(coupon: BuyerCoupon, rule: Rule, indexes: Sequence[int], basket: Basket) -> str | None:
    if coupon.status != "available":
        return "already_used"
    if basket.now_ms < coupon.valid_from_ms:
        return "not_started"
    if basket.now_ms >= coupon.valid_to_ms:
        return "expired"
    if rule.currencies and basket.currency not in rule.currencies:
        return "currency_not_accepted"
    if rule.home_only and basket.foreign_shops and indexes and not _at_home(indexes, basket):
        return "currency_not_accepted"
    return None
