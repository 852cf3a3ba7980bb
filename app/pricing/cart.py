"""Price a buyer's cart as things stand: the process's book, what the buyer holds, the clock.

What only this side of the engine can know is gathered here; the arithmetic is in engine.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from app.bootstrap import Services
from app.coupons.held import Held
from app.coupons.known_codes import NO_CODES, CartCodes, codes_of_cart
from app.pricing.book import PriceBook
from app.pricing.buyer import ANONYMOUS, EMPTY_PURSE, Buyer
from app.pricing.deductions import asks_for_any
from app.pricing.engine import CouponChoice, UnusableCoupon, choose_coupons, price
from app.pricing.limits import Taken, taken_of
from app.pricing.plan import NOT_TO_USE
from app.pricing.priced import GoodCodes, Priced, PricedWith
from app.pricing.rules import Rule, milliseconds
from app.pricing.schemas import CartRequest, Rejected


async def price_cart(
    services: Services,
    buyer_id: str | None,
    cart: CartRequest,
    channel: str | None,
    codes: CartCodes | None = None,
) -> Priced:
    """`buyer_id` None: not logged in, so no coupons but those of codes, and no address but a region.

    `codes`: the cart's, where they have been asked for. Raises SkuNotFound, CurrencyNotSold, ActivityNotOpen,
    TooManyRequests, Unavailable.
    """
    if codes is None:
        codes = await codes_of_cart(services, buyer_id, cart)
    if codes is not NO_CODES:
        cart = replace(cart, coupon_ids=[*cart.coupon_ids, *codes.coupons])
    if buyer_id is not None:
        buyer = await _buyer(services, buyer_id, cart, channel, codes)
    elif channel is None and cart.region is None and codes is NO_CODES:
        buyer = ANONYMOUS
    else:
        buyer = Buyer(codes.coupons, region=cart.region, channel=channel)
    book, now_ms = services.prices.book, milliseconds(services.clock.now())
    priced = price(
        cart,
        book,
        buyer,
        now_ms,
        quote_id=f"{services.ids.next():x}",
        quote_ttl_s=services.settings.quote_ttl_s,
        hints=services.hints,
    )
    asked: Sequence[str] = cart.coupon_ids
    if cart.auto_coupons:
        asked = [*asked, *priced.coupons]
    left_out = _left_out(cart, priced.summary.rejected) if asked else ()
    priced.priced_with = PricedWith(
        now_ms,
        book.promotions_version,
        book.catalog_version,
        asked,
        left_out,
        buyer.region,
        channel,
        tuple(buyer.tags),
        buyer.is_first_order,
        cart.choices,
        book.charges_version,
        cart.points,
        _taken(cart, asked, buyer, book) if book.limited else (),
    )
    if codes is not NO_CODES:
        counted = [each for each, coupon in codes.coupons.items() if buyer.coupons[each] is coupon]
        priced.codes = GoodCodes(counted, codes.region)
        priced.summary.rejected += codes.refused
    return priced


def _left_out(cart: CartRequest, rejected: Sequence[Rejected]) -> list[tuple[str, str]]:
    """Coupons that a replay does not try: of a cart that had the best chosen for it, all that were not.

    Of another those alone that were not this buyer's to use: that is seen from the coupon as it was then.
    """
    return [
        (each.rule_id, each.code)
        for each in rejected
        if each.kind == "coupon" and (cart.auto_coupons or each.code in NOT_TO_USE)
    ]


def _taken(cart: CartRequest, coupon_ids: Sequence[str], buyer: Buyer, book: PriceBook) -> list[Taken]:
    """Of the limited rules that the cart meets: how much of them is left decides, also where none applied."""
    skus = [book.skus[line.sku_id] for line in cart.lines if line.sku_id in book.skus]
    met: set[Rule | None] = {rule for sku in skus for rule in book.rules_of(sku)}
    held = [buyer.coupons[each].template_id for each in coupon_ids if each in buyer.coupons]
    met.update(map(book.templates.get, held))
    taken: list[Taken] = []
    for rule in book.limited & met:
        buyer_uses = buyer.rule_uses.get((rule.kind, rule.rule_id), 0)
        taken += taken_of(rule.kind, rule.rule_id, book.uses, buyer_uses, cart.currency)
    return taken


async def _buyer(
    services: Services, buyer_id: str, cart: CartRequest, channel: str | None, codes: CartCodes
) -> Buyer:
    """What the cart asks for, and no more."""
    coupons: Held = {}
    if cart.coupon_ids or cart.auto_coupons:
        coupons = await services.coupons.of(buyer_id, None if cart.auto_coupons else cart.coupon_ids)
    if codes.coupons:
        coupons = {**codes.coupons, **coupons}
    purse = await services.purses.of(buyer_id, cart) if asks_for_any(cart) else EMPTY_PURSE
    region = None if cart.address_id is None else await _region(services, buyer_id, cart)
    buyer = Buyer(coupons, purse, region, channel)
    book = services.prices.book
    if not (book.limited_by_buyer or book.asks_who or book.has_member_prices):
        return buyer
    return await _with_what_rules_ask(services, buyer_id, cart, buyer)


async def _region(services: Services, buyer_id: str, cart: CartRequest) -> str | None:
    """Where the cart goes, if anything asks for it."""
    if cart.address_id is None or not services.prices.book.needs_region:
        return None
    return await services.regions.of(buyer_id, cart.address_id)


async def choose_for_cart(
    services: Services, buyer_id: str, cart: CartRequest, channel: str | None
) -> CouponChoice:
    """Which of the buyer's coupons fit, those of the cart's codes included. Raises as `price_cart` does."""
    region = await _region(services, buyer_id, cart)
    codes = await codes_of_cart(services, buyer_id, cart)
    coupons = await services.coupons.of(buyer_id)
    if codes.coupons:
        coupons = {**codes.coupons, **coupons}
    buyer = Buyer(coupons, EMPTY_PURSE, region, channel)
    buyer = await _with_what_rules_ask(services, buyer_id, cart, buyer)
    choice = choose_coupons(cart, services.prices.book, buyer, milliseconds(services.clock.now()))
    choice.unusable.extend([UnusableCoupon(each.rule_id, each.name, each.code) for each in codes.refused])
    return choice


async def _with_what_rules_ask(services: Services, buyer_id: str, cart: CartRequest, buyer: Buyer) -> Buyer:
    """With uses, tags and first order, where the cart meets a rule that asks for them; nearly none does."""
    book = services.prices.book
    if _meets(book.limited_by_buyer, cart, buyer, book):
        buyer = replace(buyer, rule_uses=await services.rule_uses.of(buyer_id))
    if _meets(book.asks_who, cart, buyer, book) or (
        book.has_member_prices and _has_member_prices(cart, book)
    ):
        standing = await services.buyers.of(buyer_id)
        buyer = replace(buyer, tags=standing.tags, is_first_order=standing.is_first_order)
    return buyer


def _has_member_prices(cart: CartRequest, book: PriceBook) -> bool:
    skus = [book.skus[line.sku_id] for line in cart.lines if line.sku_id in book.skus]
    return any(sku.member_prices is not None for sku in skus)


def _meets(rules: frozenset[Rule], cart: CartRequest, buyer: Buyer, book: PriceBook) -> bool:
    if not rules:
        return False
    skus = [book.skus[line.sku_id] for line in cart.lines if line.sku_id in book.skus]
    templates = [book.templates.get(coupon.template_id) for coupon in buyer.coupons.values()]
    return not rules.isdisjoint(templates) or any(not rules.isdisjoint(book.rules_of(sku)) for sku in skus)
