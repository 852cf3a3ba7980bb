"""From a priced cart to a checkout that can be written: split by shop, ids made before any write.

Pure but for the ids. One shop, one order; several shops, one parent and a child a shop. The amounts of a
parent are the sums of its children's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from app.addresses.schemas import AddressSnapshot
from app.checkout.schemas import Checkout, LineDraft, OrderDraft, PlacedOrder, PlacedShopOrder
from app.lib.idempotency import Once
from app.pricing.priced import Priced, PricedLine
from app.pricing.schemas import CheckoutRequest
from app.stock.scripts import Reservation, Want

NORMAL_SALE = "0"
_encode = msgspec.json.Encoder().encode


def draft_checkout(
    once: Once,
    request: CheckoutRequest,
    priced: Priced,
    address: AddressSnapshot | None,
    *,
    created_at: datetime,
    pay_deadline: datetime,
    next_id: Callable[[], int],
) -> Checkout:
    """Everything that placing will write, before it is written."""
    by_shop: dict[str, list[PricedLine]] = {}
    for line in priced.lines:
        by_shop.setdefault(line.sku.shop_id, []).append(line)
    root_id = next_id()
    if len(by_shop) == 1:
        ((shop_id, priced_lines),) = by_shop.items()
        root = _order(root_id, None, shop_id, priced_lines)
        orders, children = [root], []
    else:
        root = _order(root_id, None, None, priced.lines)
        children = [_order(next_id(), root_id, shop_id, lines) for shop_id, lines in by_shop.items()]
        orders = children
    activity_id = request.activity_id or NORMAL_SALE
    lines = [
        _line(order.order_id, next_id(), line)
        for order, priced_lines in zip(orders, by_shop.values(), strict=True)
        for line in priced_lines
    ]
    reservations = [
        Reservation(
            once.digest,
            root_id,
            shop_id,
            once.caller_id,
            activity_id,
            [_want(line, priced) for line in priced_lines],
        )
        for shop_id, priced_lines in by_shop.items()
    ]
    placed = _placed(root, orders, request.currency, pay_deadline)
    return Checkout(
        once=once,
        buyer_id=once.caller_id,
        root=root,
        children=children,
        lines=lines,
        reservations=reservations,
        held=[],
        coupon_ids=sorted(int(coupon_id) for coupon_id in priced.coupons),
        currency=request.currency,
        mode=request.mode,
        activity_id=activity_id,
        address=address,
        memo=request.memo,
        source=request.source,
        quote_id=request.quote_id,
        created_at=created_at,
        pay_deadline=pay_deadline,
        placed=placed,
        answer_body=_encode(placed),
    )


def _placed(
    root: OrderDraft, orders: Sequence[OrderDraft], currency: str, pay_deadline: datetime
) -> PlacedOrder:
    return PlacedOrder(
        order_id=str(root.order_id),
        status="NOT_PAID",
        currency=currency,
        payable_minor=root.payable_minor,
        pay_deadline=pay_deadline,
        orders=[
            PlacedShopOrder(str(order.order_id), order.shop_id or "", order.payable_minor) for order in orders
        ],
    )


def _order(
    order_id: int, parent_id: int | None, shop_id: str | None, lines: Sequence[PricedLine]
) -> OrderDraft:
    goods = promotion = coupon = payable = 0
    for line in lines:
        goods += line.summary.goods_minor
        promotion += line.promotion_minor
        coupon += line.coupon_minor
        payable += line.summary.payable_minor
    return OrderDraft(order_id, parent_id, shop_id, goods, promotion, coupon, payable)


def _line(order_id: int, line_id: int, line: PricedLine) -> LineDraft:
    sku, summary = line.sku, line.summary
    return LineDraft(
        order_id,
        line_id,
        sku.sku_id,
        sku.title,
        sku.item_type,
        line.pool_id,
        sku.reserve_on,
        summary.quantity,
        summary.unit_price_minor,
        summary.list_price_minor,
        summary.goods_minor,
        line.promotion_minor,
        line.coupon_minor,
        summary.payable_minor,
        msgspec.Raw(_encode(summary.discounts)) if summary.discounts else None,
    )


def _want(line: PricedLine, priced: Priced) -> Want:
    sku_id, quantity = line.sku.sku_id, line.summary.quantity
    if priced.flash_sale is None:
        return Want(line.pool_id, sku_id, quantity)
    return Want(line.pool_id, sku_id, quantity, priced.flash_sale.items[sku_id].per_buyer_max or 0)
