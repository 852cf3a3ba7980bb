"""`POST /coupon/redeem`: a code becomes a coupon of the buyer, once a key. All in one transaction."""

from __future__ import annotations

import msgspec

from app.bootstrap import Services
from app.coupons import code_ledger
from app.coupons.admit import Numbers
from app.coupons.codes import want
from app.coupons.give import tell, tell_again
from app.coupons.schemas import Redeem
from app.coupons.take import region_of
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection

_encode = msgspec.json.Encoder().encode


async def redeem(services: Services, request: HotRequest[Redeem]) -> Answer:
    """Turn a code, shared, one-time or an invitation, into a coupon of the buyer, once a key."""
    assert request.caller is not None
    buyer_id, code = request.caller.sub, request.body.code
    once = identify("coupon/redeem", buyer_id, request.idempotency_key, request.body)
    given: list[Numbers] = []
    wanted = want(code, await region_of(services, buyer_id, request.body.address_id), services.ids.next)

    async def effect(connection: Connection) -> Answer:
        codes = await code_ledger.lock(connection, [(code, buyer_id)])
        coupon = codes.redeem(wanted, buyer_id, services.clock.now())
        await code_ledger.write(connection, codes)
        given.append(codes.numbers)
        return Answer(200, _encode(coupon))

    answer = await run_once(services.pool, once, effect)
    await tell(services, given)
    if answer.replayed:
        await tell_again(services, (await code_ledger.read(services.pool, [(code, buyer_id)])).numbers)
    return answer
