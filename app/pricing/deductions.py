"""Points, red packets and gift cards: what a buyer pays with, as rules that the walk applies in their lanes.

Enters: what the cart asks for and what the buyer's purse holds of it. Leaves: entries, and for what cannot
apply at all the reason. Points come in whole ones, up to the cap; a card gives what it has; a packet gives
once, and what it has too much is not the buyer's. Pure, as all of the engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.pricing.book import PriceBook
from app.pricing.buyer import GiftCard, Purse, RedPacket
from app.pricing.documents import AmountOff, Effect
from app.pricing.lines import Basket
from app.pricing.priced import Priced
from app.pricing.rules import ALWAYS_MS, NEVER_MS, Reach, Rule, TakePoints
from app.pricing.schemas import CartRequest, Rejected
from app.pricing.walk import Entry, Step

POINTS, RED_PACKET, GIFT_CARD = "points", "red_packet", "gift_card"
# What a card's name shows of its code: enough to tell one's own apart, too little to spend it.
CODE_SHOWN = 4
NOTHING: frozenset[str] = frozenset()


def asks_for_any(cart: CartRequest) -> bool:
    return bool(cart.points or cart.gift_card_codes or cart.red_packet_id is not None)


def deduction_entries(
    cart: CartRequest, purse: Purse, basket: Basket, book: PriceBook
) -> tuple[list[Entry], list[Rejected]]:
    """By lane; gift cards in the order in which the cart names them."""
    found: list[Entry | Rejected] = []
    if cart.points:
        found.append(_points(cart.points, purse.points, basket, book))
    if cart.red_packet_id is not None:
        found.append(_red_packet(cart.red_packet_id, purse.red_packet, basket, book))
    found += [
        _gift_card(code, purse.gift_cards.get(code), basket, book)
        for code in dict.fromkeys(cart.gift_card_codes)
    ]
    entries = [each for each in found if isinstance(each, Entry)]
    entries.sort(key=lambda entry: entry.rule.lane)
    return entries, [each for each in found if isinstance(each, Rejected)]


def _points(asked: int, held: int, basket: Basket, book: PriceBook) -> Entry | Rejected:
    rate = book.points.currencies.get(basket.currency)
    if rate is None or rate.minor_per_point is None:
        return Rejected(POINTS, POINTS, "Points", "not_available")
    if held == 0:
        return Rejected(POINTS, POINTS, "Points", "balance_too_low", missing_quantity=asked)
    effect = TakePoints(min(asked, held), rate.minor_per_point, book.points.cap_bp)
    pays_charges = book.points.pays_charges
    return Entry(
        _rule(POINTS, POINTS, "Points", effect, book, pays_charges=pays_charges), POINTS, basket.tie_order
    )


def _red_packet(
    packet_id: str, packet: RedPacket | None, basket: Basket, book: PriceBook
) -> Entry | Rejected:
    if packet is None:
        return Rejected(RED_PACKET, packet_id, "", "not_found")
    lines = basket.lines
    indexes: Sequence[int] = basket.tie_order
    if packet.shop_id is not None:
        indexes = [index for index in indexes if lines[index].sku.shop_id == packet.shop_id]
    if basket.now_ms >= packet.ends_at_ms or packet.status == "expired":
        return Rejected(RED_PACKET, packet_id, packet.name, "expired")
    if packet.status != "available":
        return Rejected(RED_PACKET, packet_id, packet.name, "already_used")
    if packet.currency != basket.currency:
        return Rejected(RED_PACKET, packet_id, packet.name, "currency_not_accepted")
    if not indexes:
        return Rejected(RED_PACKET, packet_id, packet.name, "not_in_scope")
    effect = AmountOff(packet.amount_minor)
    rule = _rule(RED_PACKET, packet_id, packet.name, effect, book, packet, pays_charges=packet.pays_charges)
    return Entry(rule, packet_id, indexes)


def _gift_card(code: str, card: GiftCard | None, basket: Basket, book: PriceBook) -> Entry | Rejected:
    name = f"Gift card …{code[-CODE_SHOWN:]}"
    if card is None:
        return Rejected(GIFT_CARD, code, "", "not_found")
    if basket.now_ms >= card.ends_at_ms:
        return Rejected(GIFT_CARD, code, name, "expired")
    if card.currency != basket.currency:
        return Rejected(GIFT_CARD, code, name, "currency_not_accepted")
    if card.balance_minor == 0:
        return Rejected(GIFT_CARD, code, name, "balance_too_low")
    # Its id, not its code: whoever reads the order could spend what is left on the card.
    effect = AmountOff(card.balance_minor)
    rule = _rule(GIFT_CARD, card.card_id, name, effect, book, pays_charges=card.pays_charges)
    return Entry(rule, card.card_id, basket.tie_order)


def _rule(
    kind: str,
    rule_id: str,
    name: str,
    effect: Effect | TakePoints,
    book: PriceBook,
    packet: RedPacket | None = None,
    *,
    pays_charges: bool,
) -> Rule:
    lane = book.lanes.index(kind)
    shop_id = None if packet is None else packet.shop_id
    return Rule(
        kind=kind,
        rule_id=rule_id,
        name=name,
        lane=lane,
        order=f"{lane:02}",
        shop_id=shop_id,
        reach=Reach(shop_id, everything=True, sku_ids=NOTHING),
        aim=None,
        starts_at_ms=ALWAYS_MS,
        ends_at_ms=NEVER_MS,
        currencies=NOTHING,
        min_amount_minor=0 if packet is None else packet.min_amount_minor,
        min_quantity=0,
        on_list_price=False,
        effect=effect,
        max_discount_minor=None,
        max_quantity=None,
        pays_charges=pays_charges,
    )


def count_points(
    cart: CartRequest,
    purse: Purse,
    steps: Sequence[Step],
    priced: Priced,
    book: PriceBook,
    charges_paid_minor: int,
) -> None:
    """Say in the summary how many points are earned, how many used, and why not all that were asked for.

    The summary has no charges yet: what was paid of them already is no part of the money for goods.
    """
    summary = priced.summary
    money_minor = summary.payable_minor + charges_paid_minor
    summary.points_earned = book.points.earned(summary.currency, money_minor)
    for step in steps if cart.points else ():
        effect = step.entry.rule.effect
        if isinstance(effect, TakePoints):
            used = summary.points_used = step.total_minor // effect.minor_per_point
            if used < cart.points:
                code = "balance_too_low" if used == purse.points else "cap_reached"
                missing = cart.points - used
                summary.rejected.append(Rejected(POINTS, POINTS, "Points", code, missing_quantity=missing))
