"""Put coupons of a template into buyers' hands: granted by an operator, or redeemed by code.

All or nothing, in one transaction under the template's row lock: so never more than `quantity_total` are
given out, and never more than `per_buyer_max` to one buyer, however many ask at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from app.bootstrap import Services
from app.coupons.errors import (
    CodeNotFound,
    CodeUsed,
    CouponsEnded,
    CouponsExhausted,
    PerBuyerMaxReached,
    TemplateNotFound,
)
from app.coupons.schemas import Coupon, Grant, Granted, GrantedCoupon, Redeem
from app.lib.auth import Caller
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection
from app.lib.sql import load
from app.pricing.documents import CouponTemplateDocument

sql = load("coupons")
# When a coupon ends that has no end.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode


async def grant(
    services: Services, caller: Caller, template_id: str, key: str | None, wanted: Grant
) -> Answer:
    """A coupon for each buyer named, once a key.

    Raises TemplateNotFound, Forbidden, CouponsEnded, CouponsExhausted, PerBuyerMaxReached.
    """
    once = identify("coupon/grants", caller.sub, key, (template_id, wanted))

    async def effect(connection: Connection) -> Answer:
        coupons = await _give(services, connection, template_id, wanted.user_ids, caller)
        pairs = zip(wanted.user_ids, coupons, strict=True)
        return Answer(200, _encode(Granted([GrantedCoupon(user, each.coupon_id) for user, each in pairs])))

    answer = await run_once(services.pool, once, effect)
    await services.coupons.forget(wanted.user_ids)
    return answer


async def redeem(services: Services, request: HotRequest[Redeem]) -> Answer:
    """Turn a code, shared or one-time, into a coupon of the buyer, once a key."""
    assert request.caller is not None
    buyer_id, code = request.caller.sub, request.body.code
    once = identify("coupon/redeem", buyer_id, request.idempotency_key, request.body)

    async def effect(connection: Connection) -> Answer:
        template_id = await connection.fetchval(sql.template_of_code, code)
        if template_id is not None:
            (coupon,) = await _give(services, connection, template_id, [buyer_id])
        else:
            coupon = await _redeem_one_time(services, connection, code, buyer_id)
        return Answer(200, _encode(coupon))

    answer = await run_once(services.pool, once, effect)
    await services.coupons.forget([buyer_id])
    return answer


async def _redeem_one_time(services: Services, connection: Connection, code: str, buyer_id: str) -> Coupon:
    row = await connection.fetchrow(sql.lock_code, code)
    if row is None:
        raise CodeNotFound()
    if row["coupon_id"] is not None:
        raise CodeUsed()
    (coupon,) = await _give(services, connection, row["template_id"], [buyer_id])
    await connection.execute(sql.use_code, code, int(coupon.coupon_id))
    return coupon


async def _give(
    services: Services,
    connection: Connection,
    template_id: str,
    buyer_ids: Sequence[str],
    giver: Caller | None = None,
) -> list[Coupon]:
    row = await connection.fetchrow(sql.lock_template, template_id)
    if row is None:
        raise TemplateNotFound()
    if giver is not None:
        giver.require_shop(row["shop_id"] or "")
    template = msgspec.convert(row["document"], CouponTemplateDocument)
    valid_from, valid_to = validity(template, services.clock.now())
    if (
        template.quantity_total is not None
        and row["granted_count"] + len(buyer_ids) > template.quantity_total
    ):
        raise CouponsExhausted(left=template.quantity_total - row["granted_count"])
    claims = await connection.fetch(sql.count_claims, template_id, buyer_ids)
    if template.per_buyer_max is not None:
        over = sorted(each["buyer_id"] for each in claims if each["quantity"] > template.per_buyer_max)
        if over:
            raise PerBuyerMaxReached(user_ids=over)
    coupon_ids = [services.ids.next() for _ in buyer_ids]
    await connection.execute(sql.add_coupons, template_id, coupon_ids, buyer_ids, valid_from, valid_to)
    await connection.execute(sql.count_granted, template_id, len(buyer_ids))
    return [
        Coupon(str(each), template_id, template.name, "available", valid_from, valid_to)
        for each in coupon_ids
    ]


def validity(template: CouponTemplateDocument, now: datetime) -> tuple[datetime, datetime]:
    """From when until when a coupon given now can be used. Raises CouponsEnded."""
    valid_from = now if template.valid_from is None else max(now, template.valid_from)
    if template.valid_days is not None:
        valid = timedelta(days=template.valid_days)
        return valid_from, valid_from + valid if valid_from < NEVER - valid else NEVER
    valid_to = template.valid_to or NEVER
    if now >= valid_to:
        raise CouponsEnded()
    return valid_from, valid_to
