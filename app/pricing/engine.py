"""The pricing engine: what a cart costs, and which of the buyer's coupons fit it.

Pure: no I/O, no clock, no randomness. The same cart, book, buyer and time always give the same summary, in
whatever order the cart names its lines. Amounts are integers in minor units; each discount says which rule
gave it, and whatever was asked for and did not apply is named with its reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from app.pricing.audience import FIRST_ORDER_USE
from app.pricing.bills import complete_bills
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer
from app.pricing.charges import Charges, add_charges, charge
from app.pricing.choices import honour_choices
from app.pricing.choose import (
    BETTER_WITHOUT,
    savings,
    settle_choice_groups,
    settle_with_best_coupons,
    why_left_out,
)
from app.pricing.deductions import asks_for_any, count_points, deduction_entries
from app.pricing.documents import FreeFreight, Gift
from app.pricing.gifts import SOLD_OUT, Gifts, Hints, pack_gifts
from app.pricing.lines import Basket, resolve
from app.pricing.outlay import Outlay, outlay_of
from app.pricing.pay_charges import pay_charges
from app.pricing.plan import coupon_entries, in_order, promotion_entries, with_allowances
from app.pricing.priced import Priced
from app.pricing.schemas import CartRequest, Rejected
from app.pricing.summary import name_rates, rejections, summarize
from app.pricing.walk import Entry, Miss, Walk, start, walk_on


class UsableCoupon(Struct, frozen=True, gc=False):
    coupon_id: str
    name: str
    # what the buyer pays less with this coupon alone, freight and tax included; nothing less with one that
    # gives a gift, or frees freight that is not known yet
    saves_minor: int
    # whether it belongs to the set with which the cart is cheapest
    best: bool


class UnusableCoupon(Struct, frozen=True, gc=False, omit_defaults=True):
    coupon_id: str
    name: str
    code: str
    missing_minor: int | None = None
    missing_quantity: int | None = None
    # what it would take off this cart alone, were its minimum met; off a fuller one perhaps more
    gains_minor: int | None = None


class CouponChoice(Struct, frozen=True, gc=False, omit_defaults=True):
    """The buyer's coupons for one cart; `best_saves_minor` is what the best ones save together."""

    currency: str
    usable: list[UsableCoupon]
    unusable: list[UnusableCoupon]
    best_saves_minor: int
    # choices among promotions that are not followed
    rejected: list[Rejected] = []


def price(
    cart: CartRequest,
    book: PriceBook,
    buyer: Buyer,
    now_ms: int,
    *,
    quote_id: str = "",
    quote_ttl_s: int = 300,
    hints: Hints | None = None,
) -> Priced:
    """Price a cart for a buyer.

    Raises SkuNotFound, CurrencyNotSold, ActivityNotOpen.
    """
    basket = resolve(cart, book, now_ms, buyer.tags)
    walk, rejected = apply_rules(cart, book, buyer, basket)
    charges = charge(basket, walk, book, buyer.region)
    paid_minor = 0
    if charges is not None and asks_for_any(cart):
        paid_minor = pay_charges(walk, charges)
    gifts = pack_gifts(walk.given, basket, book, hints)
    walk.misses += [Miss(each.entry, SOLD_OUT) for each in gifts.gone]
    told = rejections(walk.misses)
    rejected += told if not cart.choices else [each for each in told if each not in rejected]
    priced = summarize(basket, walk, gifts, rejected, hints, quote_id, quote_ttl_s)
    count_points(cart, buyer.purse, walk.steps, priced, book, paid_minor)
    if basket.bills:
        complete_bills(priced, basket)
    if charges is not None:  # points are earned for goods alone
        add_charges(priced, charges)
    if book.asks_who and _is_for_first_order(walk, gifts, charges):
        priced.uses = [*priced.uses, FIRST_ORDER_USE]
    priced.region = buyer.region
    if basket.rates:
        name_rates(priced, basket)
    return priced


def apply_rules(
    cart: CartRequest, book: PriceBook, buyer: Buyer, basket: Basket
) -> tuple[Walk, list[Rejected]]:
    """What each rule gives and why others give nothing; and what was asked for and cannot apply at all."""
    promotions, not_followed = _promotions(cart, book, buyer, basket)
    outlay = outlay_of(basket, book, buyer.region)
    if cart.auto_coupons:
        promotions, chosen, rejected = _choose_coupons(
            cart.coupon_ids, buyer, promotions, basket, book, outlay
        )
    else:
        chosen, rejected = coupon_entries(cart.coupon_ids, buyer.coupons, basket, book)
        chosen = with_allowances(chosen, book, buyer, cart.currency)
        if book.has_choice_groups:
            promotions = settle_choice_groups(promotions, chosen, basket.lines, outlay)
    rejected += not_followed
    entries = in_order(promotions, chosen)
    if asks_for_any(cart):
        deductions, refused = deduction_entries(cart, buyer.purse, basket, book)
        entries = in_order(entries, deductions)
        rejected += refused
    return walk_on(start(basket.lines), entries, basket.lines), rejected


def _promotions(
    cart: CartRequest, book: PriceBook, buyer: Buyer, basket: Basket
) -> tuple[list[Entry], list[Rejected]]:
    """Those that may apply, as the buyer has chosen among them; and the choices that are not followed."""
    promotions = with_allowances(promotion_entries(basket), book, buyer, cart.currency)
    return honour_choices(cart.choices, promotions, basket, book) if cart.choices else (promotions, [])


def _is_for_first_order(walk: Walk, gifts: Gifts, charges: Charges | None) -> bool:
    """Whether a rule for a first order gave anything."""
    entries = [step.entry for step in walk.steps] + [entry for entry, _ in gifts.applied]
    if charges is not None:
        entries += [freed.entry for freed, _ in charges.freed]
    return any(entry.rule.audience is not None and entry.rule.audience.first_order for entry in entries)


def choose_coupons(cart: CartRequest, book: PriceBook, buyer: Buyer, now_ms: int) -> CouponChoice:
    """What each of the buyer's coupons would save on this cart, and which of them are best together.

    Raises as `price` does.
    """
    basket = resolve(cart, book, now_ms, buyer.tags)
    promotions, not_followed = _promotions(cart, book, buyer, basket)
    held = [each for each, coupon in buyer.coupons.items() if coupon.status == "available"]
    entries, rejected = coupon_entries(held, buyer.coupons, basket, book)
    entries = with_allowances(entries, book, buyer, cart.currency)
    outlay = outlay_of(basket, book, buyer.region)
    unsettled = promotions
    promotions, search, best = settle_with_best_coupons(promotions, entries, basket.lines, outlay)
    sets = [best, *([entry] for entry in entries)]
    best_saves_minor, *alone = savings(unsettled, sets, search, basket.lines, outlay)
    unsaid = (Gift, FreeFreight) if outlay is not None and outlay.freight_is_unknown else Gift
    usable = []
    for entry, saved_minor in zip(entries, alone, strict=True):
        saves_minor = max(0, saved_minor)
        why = None
        if not saves_minor and entry not in best:
            why = why_left_out(entry, [], promotions, basket.lines)
        if why is None or (why.code == BETTER_WITHOUT and isinstance(entry.rule.effect, unsaid)):
            usable.append(UsableCoupon(entry.rule_id, entry.rule.name, saves_minor, entry in best))
        else:
            rejected.append(why)
    unusable = [
        UnusableCoupon(
            each.rule_id,
            each.name,
            each.code,
            each.missing_minor,
            each.missing_quantity,
            each.gains_minor,
        )
        for each in rejected
    ]
    return CouponChoice(cart.currency, usable, unusable, best_saves_minor, not_followed)


def _choose_coupons(
    named: Sequence[str],
    buyer: Buyer,
    promotions: list[Entry],
    basket: Basket,
    book: PriceBook,
    outlay: Outlay | None,
) -> tuple[list[Entry], list[Entry], list[Rejected]]:
    """Promotions and coupons that are best together; why coupons that the cart named are not among them."""
    entries, refused = coupon_entries([*buyer.coupons, *named], buyer.coupons, basket, book)
    entries = with_allowances(entries, book, buyer, basket.currency)
    promotions, _, chosen = settle_with_best_coupons(promotions, entries, basket.lines, outlay)
    rejected = [each for each in refused if each.rule_id in named]
    for entry in entries:
        if entry.rule_id in named and entry not in chosen:
            rejected.append(why_left_out(entry, chosen, promotions, basket.lines))
    return promotions, chosen, rejected
