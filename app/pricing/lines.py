"""The lines of a cart with their SKUs, their prices before any discount, and what is in force for them.

Enters the request, leaves a `Basket`: one `Line` per SKU, in the order in which the cart first names it.
Raises SkuNotFound, CurrencyNotSold or ActivityNotOpen; nothing that the client sent is used as a price.
"""

from __future__ import annotations

from msgspec import Struct

from app.catalog.snapshot import Sku
from app.flash_sales.snapshot import FlashSale
from app.lib.bounds import AMOUNT_MINOR_MAX, QUANTITY_MAX
from app.pricing.book import InForce, PriceBook
from app.pricing.errors import ActivityNotOpen, BillAmountInvalid, CurrencyNotSold, SkuNotFound
from app.pricing.exchange import Rate, rate_at
from app.pricing.in_force import in_force
from app.pricing.schemas import CartLine, CartRequest

# The item type whose price is given at the counter.
BILL = "bill"


class Line(Struct, gc=False, eq=False):
    sku: Sku
    quantity: int
    unit_price_minor: int
    list_price_minor: int
    goods_minor: int
    pool_id: int
    # how many of it one order may hold, whatever is in stock
    quantity_limit: int
    # the promotions and sales that its SKU is in
    in_force: InForce


class Basket(Struct, gc=False, eq=False):
    lines: list[Line]
    # The lines' indexes by SKU id. A split's ties go to the earlier line of this order, not of the cart's, so
    # that the order in which an app happens to send its lines changes nobody's price.
    tie_order: list[int]
    currency: str
    now_ms: int
    flash_sale: FlashSale | None
    # the rates that amounts were converted with: by shop and the currency they come from
    rates: dict[tuple[str, str], Rate] = {}
    # shops that sell in another currency than the cart's: a rule whose amounts are in it keeps off them
    foreign_shops: set[str] = set()
    # by index: what of each bill is kept from the rules (bills.py)
    bills: dict[int, int] = {}

    def take_rate(self, book: PriceBook, shop_id: str, base: str) -> Rate | None:
        """The rate that is valid now from `base` into the cart's currency, noted as used by the shop."""
        rate = rate_at(book.fx_rates.get((base, self.currency), ()), self.now_ms)
        if rate is not None:
            self.rates[shop_id, base] = rate
        return rate


def resolve(
    cart: CartRequest, book: PriceBook, now_ms: int, buyer_tags: frozenset[str] = frozenset()
) -> Basket:
    """A buyer with tags gets the lowest member price of them; a flash sale's price is everybody's."""
    quantities: dict[str, int] = {}
    amounts: dict[str, CartLine] = {}
    for line in cart.lines:
        sku_id = line.sku_id
        quantities[sku_id] = quantities.get(sku_id, 0) + line.quantity
        if line.amount_minor is not None or line.undiscounted_minor:
            amounts[sku_id] = line
    sku_ids = list(quantities)
    tie_order = sorted(range(len(sku_ids)), key=sku_ids.__getitem__)
    if cart.activity_id is None:
        basket = Basket([], tie_order, cart.currency, now_ms, None)
        _add_normal_lines(basket, quantities, amounts, book)
        if buyer_tags:
            _give_member_prices(basket, book, buyer_tags)
        return basket
    sale = book.flash_sales.get(cart.activity_id)
    if sale is None or not sale.is_open(now_ms):
        raise ActivityNotOpen(activity_id=cart.activity_id)
    lines = _flash_lines(quantities, cart.currency, now_ms, book, sale)
    if amounts or any([line.sku.item_type == BILL for line in lines]):
        raise BillAmountInvalid("a flash sale has prices of its own, and no bills", sku_ids=sku_ids)
    shop_ids = {line.sku.shop_id for line in lines}
    foreign = {each for each in shop_ids if book.shops[each].currency != cart.currency}
    return Basket(lines, tie_order, cart.currency, now_ms, sale, foreign_shops=foreign)


def _add_normal_lines(
    basket: Basket, quantities: dict[str, int], amounts: dict[str, CartLine], book: PriceBook
) -> None:
    skus, shops, lines = book.skus, book.shops, basket.lines
    currency, now_ms = basket.currency, basket.now_ms
    unsold: list[str] = []
    for sku_id, quantity in quantities.items():
        sku = skus.get(sku_id)
        if sku is None:
            raise SkuNotFound(sku_ids=[each for each in quantities if each not in skus])
        base = shops[sku.shop_id].currency
        if base != currency:
            basket.foreign_shops.add(sku.shop_id)
        price = sku.prices.get(currency) or _convert(sku, base, basket, book)
        if price is None:
            unsold.append(sku_id)
            continue
        if sku.item_type == BILL or sku_id in amounts:
            _add_bill(basket, sku, quantity, amounts.get(sku_id), book)
            continue
        unit, list_price = price
        found = in_force(book, sku, currency, now_ms)
        lines.append(Line(sku, quantity, unit, list_price, unit * quantity, sku.pool_id, QUANTITY_MAX, found))
    if unsold:
        raise CurrencyNotSold(sku_ids=unsold, currency=currency)


def _add_bill(basket: Basket, sku: Sku, quantity: int, given: CartLine | None, book: PriceBook) -> None:
    """The line as the rules see it: without what is kept from them. Raises BillAmountInvalid."""
    amount_minor = None if given is None else given.amount_minor
    if given is None or amount_minor is None or sku.item_type != BILL:
        raise BillAmountInvalid("a bill needs `amount_minor`, and nothing else has one", sku_ids=[sku.sku_id])
    if quantity != 1 or given.undiscounted_minor > amount_minor:
        raise BillAmountInvalid("one bill, and at most all of it undiscounted", sku_ids=[sku.sku_id])
    rest_minor = amount_minor - given.undiscounted_minor
    basket.bills[len(basket.lines)] = given.undiscounted_minor
    found = in_force(book, sku, basket.currency, basket.now_ms)
    basket.lines.append(Line(sku, 1, rest_minor, rest_minor, rest_minor, sku.pool_id, 1, found))


def _convert(sku: Sku, base: str, basket: Basket, book: PriceBook) -> tuple[int, int] | None:
    """Price and list price from those in the shop's own currency; None: it has none, or there is no rate.

    A bill is never converted: what was given at the counter is in a currency of its SKU.
    """
    price = None if sku.item_type == BILL else sku.prices.get(base)
    rate = None if price is None else basket.take_rate(book, sku.shop_id, base)
    if price is None or rate is None:
        return None
    unit, list_price = (rate.convert(each) for each in price)
    return None if list_price > AMOUNT_MINOR_MAX else (unit, list_price)


def _give_member_prices(basket: Basket, book: PriceBook, buyer_tags: frozenset[str]) -> None:
    for line in basket.lines:
        sku = line.sku
        if sku.member_prices is None or sku.item_type == BILL:
            continue
        base = basket.currency if basket.currency in sku.prices else book.shops[sku.shop_id].currency
        prices = [price for tag, price in sku.member_prices.get(base, ()) if tag in buyer_tags]
        if base != basket.currency and (rate := basket.take_rate(book, sku.shop_id, base)) is not None:
            prices = [rate.convert(price) for price in prices]
        line.unit_price_minor = min([line.unit_price_minor, *prices])
        line.goods_minor = line.unit_price_minor * line.quantity


def _flash_lines(
    quantities: dict[str, int], currency: str, now_ms: int, book: PriceBook, sale: FlashSale
) -> list[Line]:
    lines = []
    for sku_id, quantity in quantities.items():
        sku = book.skus.get(sku_id)
        item = sale.items.get(sku_id)
        if sku is None or item is None:
            missing = [each for each in quantities if each not in sale.items or each not in book.skus]
            raise SkuNotFound("The flash sale does not have this SKU", sku_ids=missing)
        if item.currency != currency:
            unsold = [
                each for each in quantities if each in sale.items and sale.items[each].currency != currency
            ]
            raise CurrencyNotSold(sku_ids=unsold, currency=currency)
        # what it is struck through with: the normal sale's list price, where that has this currency
        list_price = max(item.price_minor, sku.prices.get(currency, (0, 0))[1])
        limit = min(item.quantity, item.per_buyer_max or item.quantity)
        unit = item.price_minor
        found = in_force(book, sku, currency, now_ms)
        lines.append(Line(sku, quantity, unit, list_price, unit * quantity, item.pool_id, limit, found))
    return lines
