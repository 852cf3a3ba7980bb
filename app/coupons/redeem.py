"""`POST /coupon/redeem`: a code becomes a coupon of the buyer, once a key.

A code is shared (of a template), one-time (a card: one coupon), or a buyer's invitation: then the inviter
gets a coupon, too, of the template's inviter template, where one may still be had. All in one transaction.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from app.bootstrap import Services
from app.coupons import ledger
from app.coupons.admit import Numbers, why_elsewhere
from app.coupons.errors import (
    AlreadyInvited,
    CodeNotFound,
    CodeUsed,
    CouponsEnded,
    CouponsExhausted,
    OwnInvitation,
    PerBuyerMaxReached,
)
from app.coupons.give import tell
from app.coupons.schemas import Coupon, Redeem
from app.coupons.take import region_of
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection
from app.lib.sql import load
from app.pricing.documents import CouponTemplateDocument

sql = load("coupons")
_encode = msgspec.json.Encoder().encode


class Redeeming(NamedTuple):
    """Who redeems what. `region`: of the address that the buyer names, if they do."""

    services: Services
    code: str
    buyer_id: str
    region: str | None


class Redeemed(NamedTuple):
    coupon: Coupon
    numbers: Numbers


async def redeem(services: Services, request: HotRequest[Redeem]) -> Answer:
    """Turn a code, shared, one-time or an invitation, into a coupon of the buyer, once a key."""
    assert request.caller is not None
    buyer_id, code = request.caller.sub, request.body.code
    once = identify("coupon/redeem", buyer_id, request.idempotency_key, request.body)
    given: list[Numbers] = []
    region = await region_of(services, buyer_id, request.body.address_id)
    redeeming = Redeeming(services, code, buyer_id, region)

    async def effect(connection: Connection) -> Answer:
        for redeem_code in (_shared, _one_time, _invitation):
            redeemed = await redeem_code(redeeming, connection)
            if redeemed is not None:
                given.append(redeemed.numbers)
                return Answer(200, _encode(redeemed.coupon))
        raise CodeNotFound()

    answer = await run_once(services.pool, once, effect)
    await tell(services, given)
    return answer


async def _shared(redeeming: Redeeming, connection: Connection) -> Redeemed | None:
    template_id = await connection.fetchval(sql.template_of_code, redeeming.code)
    return None if template_id is None else await _give(redeeming, connection, template_id)


async def _one_time(redeeming: Redeeming, connection: Connection) -> Redeemed | None:
    row = await connection.fetchrow(sql.lock_code, redeeming.code)
    if row is None:
        return None
    if row["coupon_id"] is not None:
        raise CodeUsed()
    redeemed = await _give(redeeming, connection, row["template_id"])
    await connection.execute(sql.use_code, redeeming.code, int(redeemed.coupon.coupon_id))
    return redeemed


async def _give(redeeming: Redeeming, connection: Connection, template_id: str) -> Redeemed:
    numbers = await ledger.lock(connection, [(template_id, redeeming.buyer_id)])
    coupon = _give_here(redeeming, numbers, template_id)
    await ledger.write(connection, numbers)
    return Redeemed(coupon, numbers)


def _give_here(redeeming: Redeeming, numbers: Numbers, template_id: str) -> Coupon:
    """Raises RegionNotServed, and as `give` does."""
    elsewhere = why_elsewhere(numbers.template(template_id).document, redeeming.region)
    if elsewhere is not None:
        raise elsewhere
    services = redeeming.services
    return numbers.give(template_id, redeeming.buyer_id, services.ids.next(), services.clock.now())


async def _invitation(redeeming: Redeeming, connection: Connection) -> Redeemed | None:
    services, code, buyer_id, _ = redeeming
    row = await connection.fetchrow(sql.read_invite_code, code)
    if row is None:
        return None
    template_id, inviter_id = row["template_id"], row["buyer_id"]
    invite = msgspec.convert(row["document"], CouponTemplateDocument).invite
    if invite is None:  # it invites no more
        return None
    if inviter_id == buyer_id:
        raise OwnInvitation()
    rewards = invite.inviter_template_id
    numbers = await ledger.lock(connection, [(template_id, buyer_id), (rewards, inviter_id)])
    if await connection.fetchval(sql.is_invited, template_id, buyer_id):  # true while the template is locked
        raise AlreadyInvited()
    coupon = _give_here(redeeming, numbers, template_id)
    reward_id = _reward(services, numbers, rewards, inviter_id)
    await ledger.write(connection, numbers)
    await connection.execute(
        sql.add_invite, template_id, buyer_id, inviter_id, int(coupon.coupon_id), reward_id
    )
    return Redeemed(coupon, numbers)


def _reward(services: Services, numbers: Numbers, template_id: str, inviter_id: str) -> int | None:
    """The inviter's coupon; None where they may have none: the invited buyer gets one all the same."""
    coupon_id = services.ids.next()
    try:
        numbers.give(template_id, inviter_id, coupon_id, services.clock.now())
    except (CouponsEnded, CouponsExhausted, PerBuyerMaxReached):
        return None
    return coupon_id
