"""Put coupons of a template into buyers' hands: an operator's grant, and what every way of giving tells.

All or nothing, in one transaction under the template's row lock: so never more than `quantity_total` are
given out, and never more than `per_buyer_max` to one buyer, however many ask at once.
"""

from __future__ import annotations

import msgspec

from app.bootstrap import Services
from app.coupons import ledger
from app.coupons.admit import Numbers
from app.coupons.schemas import Grant, Granted, GrantedCoupon
from app.lib.auth import Caller
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection

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
    if answer.replayed:
        pairs = [(template_id, each) for each in wanted.user_ids]
        await tell_again(services, await ledger.read(services.pool, pairs))
    return answer


async def tell(services: Services, given: list[Numbers]) -> None:
    """After the commit, to the cached coupons and the gate."""
    for numbers in given:
        await services.coupons.forget(dict.fromkeys(each.buyer_id for each in numbers.given))
        await services.taking.gate.tell(numbers)


async def tell_again(services: Services, numbers: Numbers) -> None:
    """For a repeated key, whose first process may have died between its commit and telling; `numbers`: as
    read since, of whom it gave coupons.
    """
    await services.coupons.forget(dict.fromkeys(buyer_id for _, buyer_id in numbers.held))
    await services.taking.gate.tell(numbers)
