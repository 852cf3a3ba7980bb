"""A quote: what a cart was priced at, in the few bytes that are needed to honour it.

Pure. `Quote.of` takes what was priced, `honour` makes it what an order is placed with, `differences` says
line by line what another price comes from, `takes_no_more` whether it matters where as much money is due.
SKUs, pools and the sale are those of now: stock is never quoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import astuple, replace

from app.catalog.snapshot import Sku
from app.pricing.book import PriceBook
from app.pricing.gifts import Hints
from app.pricing.limits import UNLIMITED, RuleUse
from app.pricing.priced import Part, Priced, PricedLine, PricedWith
from app.pricing.rules import Rule
from app.pricing.schemas import CartRequest, Discount, FxRate, LineSummary, PriceDifference, Summary
from app.pricing.summary import group_by_shop

CART_FIELDS = len(CartRequest.__struct_fields__)
# What the buyer keeps the rest of; a coupon or a red packet is gone whatever it gave.
BALANCES = frozenset({"points", "gift_card"})
_encode = msgspec.msgpack.Encoder().encode


class QuotedLine(Struct, frozen=True, gc=False, array_like=True):
    sku_id: str
    quantity: int
    unit_price_minor: int
    list_price_minor: int
    freight_minor: int
    tax_minor: int
    # places are those in the quote's `applied`
    given: list[Part]
    tax_included_minor: int = 0
    undiscounted_minor: int = 0

    @property
    def is_gift(self) -> bool:
        """Nothing else names a rule that gave no amount."""
        return bool(self.given) and not any(amount or freight for _, amount, freight in self.given)

    @property
    def payable_minor(self) -> int:
        goods_minor = self.unit_price_minor * self.quantity
        return goods_minor - sum(amount for _, amount, _ in self.given) + self.freight_minor + self.tax_minor


class Quote(Struct, frozen=True, gc=False, array_like=True):
    # None: priced without login, for whoever presents it
    buyer_id: str | None
    cart: bytes
    expires_at: datetime
    payable_minor: int
    points_used: int
    points_earned: int
    # each rule that applied to the cart: the fields of its `Discount`
    applied: list[tuple[str, str, str, int, int]]
    lines: list[QuotedLine]
    # where it was to go, if that mattered
    region: str | None = None
    # what it takes of limited rules: nearly always nothing
    uses: Sequence[RuleUse] = ()
    priced_with: PricedWith | None = None
    # by shop: what its amounts were converted with
    rates: list[tuple[str, FxRate]] = []

    @classmethod
    def of(cls, buyer_id: str | None, cart: CartRequest, priced: Priced) -> Quote:
        summary = priced.summary
        lines = []
        for line in priced.lines:
            told = line.summary
            lines.append(
                QuotedLine(
                    told.sku_id,
                    told.quantity,
                    told.unit_price_minor,
                    told.list_price_minor,
                    told.freight_minor,
                    told.tax_minor,
                    line.given,
                    told.tax_included_minor,
                    told.undiscounted_minor,
                )
            )
        return cls(
            buyer_id,
            cart_content(cart),
            summary.expires_at,
            summary.payable_minor,
            summary.points_used,
            summary.points_earned,
            [*map(astuple, summary.applied)],
            lines,
            priced.region,
            priced.uses,
            priced.priced_with,
            [(shop.shop_id, rate) for shop in summary.shops if shop.fx_rates for rate in shop.fx_rates],
        )

    def is_for(self, buyer_id: str, cart: CartRequest) -> bool:
        """Somebody else's quote, or one of another cart, is none.

        Nor is one without login for a cart with an address: nobody looked at it, so freight and tax lack.
        And nobody lives in a region only because the cart has named it.
        """
        has_place = cart.address_id is not None or cart.region is not None
        whose = (buyer_id,) if has_place else (None, buyer_id)
        return self.buyer_id in whose and self.cart == cart_content(cart)

    def discounts(self, line: QuotedLine) -> list[Discount]:
        """The rule's kind, id and name with what it gave to this line."""
        return [Discount(*self.applied[place][:3], *amounts) for place, *amounts in line.given]


def cart_content(cart: CartRequest) -> bytes:
    """The cart as decoded, without what placing an order adds to it."""
    return _encode(astuple(cart)[:CART_FIELDS])


def honour(quote: Quote, now: Priced, book: PriceBook, hints: Hints) -> Priced | None:
    """The cart at the quote's price; `now` is the same cart as things stand.

    None: goods are gone, or the address has moved since. A gift that is gone is left out: it has no part in
    the price. Budgets and uses are not quoted: the limits are those of now, and the ledger decides.
    """
    if None not in (quote.region, now.region) and quote.region != now.region:
        return None
    standing = {line.sku.sku_id: line for line in now.lines if not line.gift}
    lines = []
    gone: set[int] = set()
    for quoted in quote.lines:
        if quoted.is_gift:
            if (gift := _gift(quote, quoted, book, hints)) is None:
                gone.update([place for place, _, _ in quoted.given])
            else:
                lines.append(gift)
        elif (stands := standing.get(quoted.sku_id)) is None:
            return None
        else:
            lines.append(_line(quote, quoted, stands.sku, stands.pool_id))
    shops = group_by_shop(lines)
    for shop in shops:
        shop.fx_rates = [rate for shop_id, rate in quote.rates if shop_id == shop.shop_id]
    applied = [Discount(*rule) for place, rule in enumerate(quote.applied) if place not in gone]
    given: dict[str, int] = {}
    for rule in applied:
        given[rule.kind] = given.get(rule.kind, 0) + rule.amount_minor
    summary = replace(
        now.summary,
        expires_at=quote.expires_at,
        goods_minor=sum([line.summary.goods_minor for line in lines]),
        promotion_discount_minor=given.get("promotion", 0),
        coupon_discount_minor=given.get("coupon", 0),
        points_discount_minor=given.get("points", 0),
        gift_card_minor=given.get("gift_card", 0),
        red_packet_minor=given.get("red_packet", 0),
        freight_minor=sum([line.freight_minor for line in quote.lines]),
        tax_minor=sum([line.tax_minor for line in quote.lines]),
        payable_minor=quote.payable_minor,
        points_used=quote.points_used,
        points_earned=quote.points_earned,
        shops=shops,
        applied=applied,
        rejected=[],
    )
    coupons = {rule.rule_id: rule.amount_minor for rule in applied if rule.kind == "coupon"}
    uses = [_within(use, book.rule_of(use)) for use in quote.uses]
    return replace(
        now, summary=summary, lines=lines, coupons=coupons, uses=uses, priced_with=quote.priced_with
    )


def takes_no_more(now: Priced, quote: Quote) -> bool:
    """Whether the cart as things stand spends nothing of the buyer's, money aside, that was not quoted."""
    quoted = {(kind, rule_id): amount_minor for kind, rule_id, _, amount_minor, _ in quote.applied}
    for each in now.summary.applied:
        if each.kind == "promotion":
            continue
        most_minor = quoted.get((each.kind, each.rule_id))
        if most_minor is None or (each.kind in BALANCES and each.amount_minor > most_minor):
            return False
    return True


def _within(use: RuleUse, rule: Rule | None) -> RuleUse:
    """Under the limits of now; where the rule is gone, under those that it had."""
    return use if rule is None else replace(use, limits=rule.use_limits or UNLIMITED)


def _gift(quote: Quote, quoted: QuotedLine, book: PriceBook, hints: Hints) -> PricedLine | None:
    sku = book.skus.get(quoted.sku_id)
    free = 0 if sku is None else hints.get(sku.pool_id)
    if sku is None or (free is not None and free < quoted.quantity):
        return None
    return replace(_line(quote, quoted, sku, sku.pool_id), gift=True)


def _line(quote: Quote, quoted: QuotedLine, sku: Sku, pool_id: int) -> PricedLine:
    discounts = quote.discounts(quoted)
    goods_minor = quoted.unit_price_minor * quoted.quantity
    summary = LineSummary(
        quoted.sku_id,
        quoted.quantity,
        quoted.unit_price_minor,
        quoted.list_price_minor,
        goods_minor,
        sum([discount.amount_minor for discount in discounts]),
        quoted.freight_minor,
        quoted.tax_minor,
        quoted.payable_minor,
        available=True,
        max_quantity=quoted.quantity,
        discounts=discounts,
        tax_included_minor=quoted.tax_included_minor,
        undiscounted_minor=quoted.undiscounted_minor,
    )
    line = PricedLine(sku, pool_id, summary, 0, [])
    for discount in discounts:
        field = f"{discount.kind}_minor"
        setattr(line, field, getattr(line, field) + discount.amount_minor)
    return line


class _Amount(NamedTuple):
    """An amount of a line; of a discount with the rule that gives it."""

    sku_id: str
    field: str
    kind: str | None = None
    rule_id: str | None = None
    name: str | None = None


def differences(was: Quote, now: Summary) -> list[PriceDifference]:
    """What has changed: the whole first, then line by line."""
    before = _amounts((line, was.discounts(line)) for line in was.lines)
    after = _amounts((line, line.discounts) for shop in now.shops for line in shop.lines)
    changed = [part for part in {**before, **after} if before.get(part, 0) != after.get(part, 0)]
    places = {sku_id: place for place, sku_id in enumerate(dict.fromkeys(part.sku_id for part in changed))}
    changed.sort(key=lambda part: places[part.sku_id])
    return [
        PriceDifference("payable_minor", was.payable_minor, now.payable_minor),
        *(
            PriceDifference(
                part.field,
                before.get(part, 0),
                after.get(part, 0),
                part.sku_id,
                part.kind,
                part.rule_id,
                part.name,
            )
            for part in changed
        ),
    ]


def _amounts(
    lines: Iterable[tuple[QuotedLine | LineSummary, list[Discount]]],
) -> dict[_Amount, int]:
    amounts: dict[_Amount, int] = {}
    for line, discounts in lines:
        if discounts and not any([each.amount_minor or each.freight_minor for each in discounts]):
            continue  # a gift
        for field in ("unit_price_minor", "freight_minor", "tax_minor", "payable_minor"):
            amounts[_Amount(line.sku_id, field)] = getattr(line, field)
        for given in discounts:
            part = _Amount(line.sku_id, "discount_minor", given.kind, given.rule_id, given.name)
            amounts[part] = given.amount_minor
    return amounts
