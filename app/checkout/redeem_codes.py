"""The codes that lower an order's price, on their way to become coupons. Pure but for the ids.

Enters what was priced with codes, leaves the same with the coupons' ids in their place, as the order keeps
it, and what the ledger is to redeem. A code that gave nothing is not redeemed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from app.coupons.codes import WantedCode, want
from app.pricing.priced import Priced, PricedLine
from app.pricing.schemas import Discount


def redeem_codes(priced: Priced, next_id: Callable[[], int]) -> tuple[Priced, Sequence[WantedCode]]:
    if priced.codes is None:
        return priced, ()
    codes, region = priced.codes.codes, priced.codes.region
    wanted = [want(code, region, next_id) for code in codes if code in priced.coupons]
    coupon_ids = {each.code: str(each.coupon_id) for each in wanted}
    held = {each: amount for each, amount in priced.coupons.items() if each not in coupon_ids}
    lines = [_line(line, coupon_ids) for line in priced.lines]
    priced_with = priced.priced_with
    if priced_with is not None:
        unused = {code for code in codes if code not in coupon_ids}
        asked = [coupon_ids.get(each, each) for each in priced_with.coupon_ids if each not in unused]
        left_out = [each for each in priced_with.left_out if each[0] not in unused]
        priced_with = replace(priced_with, coupon_ids=asked, left_out=left_out)
    return replace(priced, lines=lines, coupons=held, priced_with=priced_with), wanted


def _line(line: PricedLine, coupon_ids: Mapping[str, str]) -> PricedLine:
    discounts = [_discount(each, coupon_ids) for each in line.summary.discounts]
    return replace(line, summary=replace(line.summary, discounts=discounts))


def _discount(discount: Discount, coupon_ids: Mapping[str, str]) -> Discount:
    if discount.kind != "coupon":
        return discount
    return replace(discount, rule_id=coupon_ids.get(discount.rule_id, discount.rule_id))
