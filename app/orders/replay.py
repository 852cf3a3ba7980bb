"""An order's cart once more, and a price book of the time when it was priced: to explain, or to rehearse.

Enters the lines of a root order and what it was priced with, leaves what the engine needs. A line's own
prices count, so that neither a flash sale nor the catalog of then is needed, but for its item's categories.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg
import msgspec

from app.catalog.snapshot import Shop, Sku
from app.lib.postgres import Pool
from app.lib.sql import load
from app.pricing.book import PriceBook
from app.pricing.buyer import Buyer, BuyerCoupon
from app.pricing.documents import CouponTemplateDocument, PromotionDocument
from app.pricing.limits import Taken, UseKey
from app.pricing.lines import BILL
from app.pricing.priced import PricedWith
from app.pricing.rules import ALWAYS_MS, Rule, coupon_rule, milliseconds, promotion_rule
from app.pricing.schemas import CartLine, CartRequest, Choice

sql = load("explain")

Row = asyncpg.Record
# (SKU, kind, rule id) -> amount
Given = dict[tuple[str, str, str], int]
# (kind, rule id) -> the version of the document that was in force
Versions = dict[tuple[str, str], int]


class Replay(msgspec.Struct, frozen=True):
    """What is needed to price a cart again as it was priced."""

    cart: CartRequest
    book: PriceBook
    buyer: Buyer
    at_ms: int
    versions: Versions = {}


async def gather(
    pool: Pool, priced_with: PricedWith, currency: str, lines: Sequence[Row], lanes: tuple[str, ...]
) -> Replay:
    """The cart of these lines (a root's and its children's), and a book of that time."""
    bought = [line for line in lines if not is_gift(line)]
    skus = [_sku(line, currency) for line in bought]
    shop_ids = sorted({sku.shop_id for sku in skus})
    currencies = {line["shop_id"]: line["shop_currency"] for line in bought}
    version = priced_with.promotions_version
    left_out = {rule_id for rule_id, _ in priced_with.left_out}
    asked = [each for each in priced_with.coupon_ids if each not in left_out]
    # a cart may name as a coupon what is the id of a promotion
    left_out.difference_update(priced_with.coupon_ids)
    promotions = await pool.fetch(sql.promotions_at, version, shop_ids)
    numbers = [int(each) for each in asked if each.isdecimal() and len(each) < 19]
    coupons = await pool.fetch(sql.coupons_at, version, numbers)
    book = (
        PriceBook(lanes=lanes)
        .with_catalog([Shop(each, each, home) for each, home in currencies.items()], skus)
        .with_promotions(_promotions(promotions, left_out, lanes))
        .with_templates([_template(row, lanes) for row in coupons])
        .with_uses(_uses(priced_with.taken, currency))
    )
    held = {
        row["coupon_id"]: BuyerCoupon(
            row["coupon_id"], row["template_id"], "available", ALWAYS_MS, milliseconds(row["valid_to"])
        )
        for row in coupons
    }
    choices = _choices(priced_with, left_out, book)
    cart = CartRequest(currency, [_cart_line(line) for line in bought], coupon_ids=asked, choices=choices)
    buyer = Buyer(
        coupons=held,
        region=priced_with.region,
        channel=priced_with.channel,
        tags=frozenset(priced_with.buyer_tags),
        is_first_order=priced_with.first_order,
        rule_uses={each[:2]: each[3] for each in priced_with.taken if each[2] == "buyer"},
    )
    versions = {("promotion", row["rule_id"]): row["version"] for row in promotions}
    versions |= {("coupon", row["coupon_id"]): row["version"] for row in coupons}
    return Replay(cart, book, buyer, priced_with.at_ms, versions)


def _uses(taken: Sequence[Taken], currency: str) -> dict[UseKey, int]:
    """What had been taken of limited rules, by everybody."""
    return {
        (kind, rule_id, measure, currency if measure == "budget" else ""): units
        for kind, rule_id, measure, units in taken
        if measure != "buyer"
    }


def _choices(priced_with: PricedWith, left_out: set[str], book: PriceBook) -> list[Choice]:
    """Who chose a rule that was left out got none of its group: the book is without it."""
    groups = {rule.choice_group for rule in book.promotions.values()}
    return [
        msgspec.structs.replace(each, promotion_id=None) if each.promotion_id in left_out else each
        for each in priced_with.choices
        if each.promotion_id not in left_out or each.choice_group in groups
    ]


def _cart_line(line: Row) -> CartLine:
    if line["item_type"] != BILL:
        return CartLine(line["sku_id"], line["quantity"])
    return CartLine(line["sku_id"], 1, line["unit_price_minor"], line["undiscounted_minor"])


def is_gift(line: Row) -> bool:
    """A line that a rule has added: it costs nothing, and its rule gave nothing off it."""
    return any(
        each["amount_minor"] == 0 and not each.get("freight_minor") for each in line["discounts"] or ()
    )


def given_by(line: Row) -> Given:
    given: Given = {}
    for each in line["discounts"] or ():
        key = line["sku_id"], each["kind"], each["rule_id"]
        given[key] = given.get(key, 0) + each["amount_minor"]
    return given


def _sku(line: Row, currency: str) -> Sku:
    return Sku(
        sku_id=line["sku_id"],
        item_id=line["item_id"],
        shop_id=line["shop_id"],
        title=line["title"],
        item_type=line["item_type"],
        category_ids=tuple(line["category_ids"]),
        prices={currency: (line["unit_price_minor"], line["list_price_minor"])},
        weight_grams=0,
        pool_id=line["pool_id"],
        reserve_on=line["reserve_on"],
        attributes={},
    )


def _promotions(rows: Sequence[Row], left_out: set[str], lanes: tuple[str, ...]) -> list[Rule]:
    documents = [(row["rule_id"], msgspec.convert(row["document"], PromotionDocument)) for row in rows]
    return [
        promotion_rule(rule_id, document, lanes)
        for rule_id, document in documents
        if document.enabled and rule_id not in left_out
    ]


def _template(row: Row, lanes: tuple[str, ...]) -> Rule:
    return coupon_rule(row["template_id"], msgspec.convert(row["document"], CouponTemplateDocument), lanes)
