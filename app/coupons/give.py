"""Put coupons of a template into buyers' hands: granted by an operator, or redeemed by code.

All or nothing, in one transaction under the template's row lock: so never more than `quantity_total` are
given out, and never more than `per_buyer_max` to one buyer, however many ask at once.
"""

from __future__ import annotations

import msgspec

from app.bootstrap import Services
from app.coupons import ledger
from app.coupons.admit import Numbers
from app.coupons.errors import CodeNotFound, CodeUsed
from app.coupons.schemas import Grant, Granted, GrantedCoupon, Redeem
from app.lib.auth import Caller
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("coupons")
_encode = msgspec.json.Encoder().encode


async def grant(
    services: Services, caller: Caller, template_id: str, key: str | None, wanted: Grant
) -> Answer:
    """A coupon for each buyer named, once a key.

    Raises TemplateNotFound, Forbidden, CouponsEnded, CouponsExhausted, PerBuyerMaxReached.
    """
    once = identify("coupon/grants", caller.sub, key, (template_id, wanted))
    given: list[Numbers] = []

    async def effect(connection: Connection) -> Answer:
        now, user_ids = services.clock.now(), wanted.user_ids
        numbers = await ledger.lock(connection, [(template_id, each) for each in user_ids])
        template = numbers.template(template_id)
        caller.require_shop(template.shop_id or "")
        template.refuse_many(len(user_ids))
        numbers.refuse_buyers(template_id, user_ids)
        coupons = [numbers.give(template_id, each, services.ids.next(), now) for each in user_ids]
        await ledger.write(connection, numbers)
        given.append(numbers)
        pairs = zip(user_ids, coupons, strict=True)
        return Answer(200, _encode(Granted([GrantedCoupon(user, each.coupon_id) for user, each in pairs])))

    answer = await run_once(services.pool, once, effect)
    await tell(services, given)
    return answer


async def redeem(services: Services, request: HotRequest[Redeem]) -> Answer:
    """Turn a code, shared or one-time, into a coupon of the buyer, once a key."""
    assert request.caller is not None
    buyer_id, code = request.caller.sub, request.body.code
    once = identify("coupon/redeem", buyer_id, request.idempotency_key, request.body)
    given: list[Numbers] = []

    async def effect(connection: Connection) -> Answer:
        template_id = await connection.fetchval(sql.template_of_code, code)
        one_time = template_id is None
        if one_time:
            template_id = await _take_one_time(connection, code)
        numbers = await ledger.lock(connection, [(template_id, buyer_id)])
        coupon = numbers.give(template_id, buyer_id, services.ids.next(), services.clock.now())
        await ledger.write(connection, numbers)
        if one_time:
            await connection.execute(sql.use_code, code, int(coupon.coupon_id))
        given.append(numbers)
        return Answer(200, _encode(coupon))

    answer = await run_once(services.pool, once, effect)
    await tell(services, given)
    return answer


async def _take_one_time(connection: Connection, code: str) -> str:
    """Lock a one-time code. Leaves its template. Raises CodeNotFound, CodeUsed."""
    row = await connection.fetchrow(sql.lock_code, code)
    if row is None:
        raise CodeNotFound()
    if row["coupon_id"] is not None:
        raise CodeUsed()
    template_id: str = row["template_id"]
    return template_id


async def tell(services: Services, given: list[Numbers]) -> None:
    """After the commit, to the cached coupons and the gate. Nothing was given where a key was repeated."""
    for numbers in given:
        await services.coupons.forget(dict.fromkeys(each.buyer_id for each in numbers.given))
        await services.taking.gate.tell(numbers)
