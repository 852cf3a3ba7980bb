"""`cal_price/v4_4` and `user_coupons_for_order`: what a cart costs, and which coupons fit it."""

from __future__ import annotations

import msgspec

from app.bootstrap import Services
from app.coupons.known_codes import NO_CODES, codes_of_cart
from app.lib.hot import HotRequest, HotRoute
from app.lib.idempotency import Answer
from app.pricing.cart import choose_for_cart, price_cart
from app.pricing.engine import CouponChoice
from app.pricing.errors import ActivityNotOpen, BillAmountInvalid, CurrencyNotSold, SkuNotFound
from app.pricing.schemas import CartRequest, Summary

PROBLEMS = (SkuNotFound, CurrencyNotSold, BillAmountInvalid, ActivityNotOpen)
_encode = msgspec.json.Encoder().encode


async def cal_price(services: Services, request: HotRequest[CartRequest]) -> Answer:
    """What the cart costs, and why. Works without login too: then with codes instead of coupons, and with a
    region instead of an address.
    """
    caller = request.caller
    buyer_id = caller.sub if caller is not None and caller.role == "buyer" else None
    codes = NO_CODES
    if request.body.coupon_codes:  # once for both prices: a code that nobody knows costs a call
        codes = await codes_of_cart(services, buyer_id, request.body, request.client)
    priced = await price_cart(services, buyer_id, request.body, request.channel, codes)
    if services.hints.unknown:  # nobody has asked for some of these pools before
        await services.hints.learn()
        priced = await price_cart(services, buyer_id, request.body, request.channel, codes)
    services.quotes.keep(buyer_id, request.body, priced)
    return Answer(200, _encode(priced.summary))


async def user_coupons_for_order(services: Services, request: HotRequest[CartRequest]) -> Answer:
    """The buyer's coupons for this cart, those of its `coupon_codes` included: what each saves or lacks, and
    the best combination.
    """
    assert request.caller is not None
    choice = await choose_for_cart(services, request.caller.sub, request.body, request.channel)
    return Answer(200, _encode(choice))


HOT_ROUTES = [
    HotRoute(
        "/shopping/cal_price/v4_4",
        CartRequest,
        Summary,
        cal_price,
        roles=None,
        problems=PROBLEMS,
    ),
    HotRoute(
        "/shopping/user_coupons_for_order",
        CartRequest,
        CouponChoice,
        user_coupons_for_order,
        problems=PROBLEMS,
    ),
]
