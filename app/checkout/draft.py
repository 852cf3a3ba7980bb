"""From a priced cart to a checkout that can be written: split by shop, ids made before any write.

Pure but for the ids. One shop, one order; several shops, one parent and a child a shop. The amounts of a
parent are the sums of its children's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from app.balances.deductions import draft_deductions
from app.checkout.redeem_codes import redeem_codes
from app.checkout.schemas import (
    Checkout,
    Deduction,
    LineDraft,
    OrderDraft,
    OrderPlaced,
    PlacedOrder,
    PlacedShopOrder,
)
from app.coupons.codes import WantedCode
from app.lib.idempotency import Once
from app.pricing.lines import BILL
from app.pricing.priced import Priced, PricedLine
from app.pricing.schemas import CheckoutRequest, ShopSummary
from app.stock.scripts import Reservation, Want

NORMAL_SALE = "0"
# When the stock of a line is reserved that has none.
NEVER = "never"
_encode = msgspec.json.Encoder().encode


def draft_checkout(
    once: Once,
    request: CheckoutRequest,
    priced: Priced,
    address_id: int | None,
    *,
    created_at: datetime,
    pay_deadline: datetime,
    next_id: Callable[[], int],
) -> Checkout:
    """Everything that placing will write, before it is written."""
    priced, codes = redeem_codes(priced, next_id)
    by_shop: dict[str, list[PricedLine]] = {}
    for line in priced.lines:
        by_shop.setdefault(line.sku.shop_id, []).append(line)

    def order(parent_id: int | None, shop_id: str | None, lines: Sequence[PricedLine]) -> OrderDraft:
        draft = _order(next_id(), parent_id, shop_id, lines, once.caller_id, request, address_id, created_at)
        if address_id is not None:
            draft.region = _region(priced, codes)
        return draft

    if len(by_shop) == 1:
        ((shop_id, priced_lines),) = by_shop.items()
        root = order(None, shop_id, priced_lines)
        orders, children = [root], []
    else:
        root = order(None, None, priced.lines)
        children = [order(root.order_id, shop_id, lines) for shop_id, lines in by_shop.items()]
        orders = children
    shop_orders = [
        PlacedShopOrder(str(each.order_id), each.shop_id or "", each.payable_minor) for each in orders
    ]
    _keep_rates([root, *children], priced.summary.shops)
    root_id = str(root.order_id)
    root.pay_deadline = pay_deadline
    root.points_used = priced.summary.points_used
    root.points_earned = priced.summary.points_earned
    root.priced_with = priced.priced_with
    status = "NOT_PAID" if root.payable_minor else "INVALID" if children else "PENDING_SHIPMENT"
    root.event = OrderPlaced(
        root_id, once.caller_id, request.currency, root.payable_minor, pay_deadline, shop_orders
    )
    lines: list[LineDraft] = []
    reservations: list[Reservation] = []
    for each, (shop_id, priced_lines) in zip(orders, by_shop.items(), strict=True):
        lines += [_line(each.order_id, next_id(), line) for line in priced_lines]
        wants = _wants(priced_lines, priced)
        if wants:
            reservations.append(
                Reservation(once.digest, root.order_id, shop_id, once.caller_id, root.activity_id, wants)
            )
    return Checkout(
        once=once,
        buyer_id=once.caller_id,
        root=root,
        children=children,
        lines=lines,
        reservations=reservations,
        held=[],
        coupon_ids=sorted(map(int, priced.coupons)),
        deductions=_deductions(once.caller_id, lines, priced),
        activity_id=root.activity_id,
        created_at=created_at,
        answer_body=_encode(
            PlacedOrder(root_id, status, request.currency, root.payable_minor, pay_deadline, shop_orders)
        ),
        uses=priced.uses,
        codes=codes,
    )


def _region(priced: Priced, codes: Sequence[WantedCode]) -> str | None:
    """Where the address must still be when the order is written: codes ask that also where no rule does."""
    return codes[0].region if codes else priced.region


def _keep_rates(orders: Sequence[OrderDraft], shops: Sequence[ShopSummary]) -> None:
    """An order keeps what its shop's amounts were converted with, a parent what its children's were."""
    for shop in shops:
        for order in orders if shop.fx_rates else ():
            if order.shop_id in (shop.shop_id, None):
                kept = order.fx_rates or []
                order.fx_rates = [*kept, *(rate for rate in shop.fx_rates if rate not in kept)]


def _order(
    order_id: int,
    parent_id: int | None,
    shop_id: str | None,
    lines: Sequence[PricedLine],
    buyer_id: str,
    request: CheckoutRequest,
    address_id: int | None,
    created_at: datetime,
) -> OrderDraft:
    goods = promotion = payable = charges = 0
    for line in lines:
        goods += line.summary.goods_minor
        charges += line.summary.freight_minor + line.summary.tax_minor
        promotion += line.promotion_minor
        payable += line.summary.payable_minor
    draft = OrderDraft(
        order_id,
        parent_id,
        buyer_id,
        shop_id,
        request.currency,
        goods,
        promotion,
        payable,
        request.mode,
        request.activity_id or NORMAL_SALE,
        address_id,
        request.memo,
        request.source,
        request.quote_id,
        created_at,
    )
    if charges or payable != goods - promotion:
        for line in lines:
            draft.coupon_discount_minor += line.coupon_minor
            draft.points_discount_minor += line.points_minor
            draft.red_packet_minor += line.red_packet_minor
            draft.gift_card_minor += line.gift_card_minor
            draft.freight_minor += line.summary.freight_minor
            draft.tax_minor += line.summary.tax_minor
    return draft


def _line(order_id: int, line_id: int, line: PricedLine) -> LineDraft:
    sku, summary = line.sku, line.summary
    return LineDraft(
        order_id,
        line_id,
        sku.sku_id,
        sku.title,
        sku.item_type,
        line.pool_id,
        NEVER if sku.item_type == BILL else sku.reserve_on,
        summary.quantity,
        summary.unit_price_minor,
        summary.list_price_minor,
        summary.goods_minor,
        line.promotion_minor,
        summary.payable_minor,
        summary.discounts or None,
        line.coupon_minor,
        line.points_minor,
        line.red_packet_minor,
        line.gift_card_minor,
        summary.freight_minor,
        summary.tax_minor,
        summary.tax_included_minor,
        summary.undiscounted_minor,
    )


def _deductions(buyer_id: str, lines: Sequence[LineDraft], priced: Priced) -> list[Deduction]:
    summary = priced.summary
    if not (summary.points_discount_minor or summary.red_packet_minor or summary.gift_card_minor):
        return []
    return draft_deductions(buyer_id, summary.currency, lines, summary.points_used)


def _wants(lines: Sequence[PricedLine], priced: Priced) -> list[Want]:
    """One for each pool: a gift may be of a SKU that is bought as well."""
    wants = [_want(line, priced) for line in lines if line.sku.item_type != BILL]
    if not lines[-1].gift:  # they come last
        return wants
    by_pool: dict[int, Want] = {}
    for want in wants:
        other = by_pool.get(want.pool_id)
        by_pool[want.pool_id] = (
            want if other is None else replace(other, quantity=other.quantity + want.quantity)
        )
    return list(by_pool.values())


def _want(line: PricedLine, priced: Priced) -> Want:
    sku, quantity = line.sku, line.summary.quantity
    buyer_max = 0
    if priced.flash_sale is not None and not line.gift:
        buyer_max = priced.flash_sale.items[sku.sku_id].per_buyer_max or 0
    return Want(line.pool_id, sku.sku_id, quantity, buyer_max, sku.reserve_on == "place")
