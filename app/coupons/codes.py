"""Whether a buyer may have the coupon of a code, decided over what the ledger says. Pure.

A code is shared (of a template), one-time (a card: one coupon), or a buyer's invitation: then the inviter
gets a coupon, too, of the template's inviter template, where one may still be had. Redeeming, an order that
takes a code along, and the price of a cart with a code are all decided here: what is priced can be had.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

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
from app.coupons.schemas import Coupon


class Code(Struct, frozen=True):
    """What a code is."""

    template_id: str
    is_one_time: bool = False
    # of a one-time code: the coupon that it has become
    coupon_id: int | None = None
    # of an invitation: whose it is, and of which template the inviter gets a coupon
    inviter_id: str | None = None
    inviter_template_id: str | None = None


class WantedCode(Struct, frozen=True):
    """A code that a buyer redeems, and the ids of what may come of it: their coupon, an inviter's reward.

    `region`: of the address that the buyer names, if they do.
    """

    code: str
    region: str | None
    coupon_id: int
    reward_id: int


class Redeemed(Struct, frozen=True):
    """`reward_id` None: there is no inviter, or none who may have a coupon."""

    code: str
    buyer_id: str
    coupon_id: int
    reward_id: int | None


class Codes(Struct):
    """What is known of some codes and of the buyers who show them; `redeemed` grows."""

    found: dict[str, Code]
    numbers: Numbers
    # (template, buyer): who has come by somebody's invitation before
    invited: set[tuple[str, str]]
    redeemed: list[Redeemed] = []

    def name(self, code: str) -> str:
        """Of its coupons; nothing of a code that is not known."""
        known = self.found.get(code)
        return "" if known is None else self.numbers.template(known.template_id).document.name

    def trial(self) -> Codes:
        """The same, to find out what would be."""
        return Codes(dict(self.found), self.numbers.trial(), set(self.invited), [])

    def redeem(self, wanted: WantedCode, buyer_id: str, now: datetime) -> Coupon:
        """Raises CodeNotFound, CodeUsed, OwnInvitation, AlreadyInvited, RegionNotServed, and as
        `Numbers.give` does.
        """
        code = self.found.get(wanted.code)
        if code is None:
            raise CodeNotFound()
        if code.coupon_id is not None:
            raise CodeUsed()
        if code.inviter_id == buyer_id:
            raise OwnInvitation()
        if code.inviter_id is not None and (code.template_id, buyer_id) in self.invited:
            raise AlreadyInvited()
        elsewhere = why_elsewhere(self.numbers.template(code.template_id).document, wanted.region)
        if elsewhere is not None:
            raise elsewhere
        coupon = self.numbers.give(code.template_id, buyer_id, wanted.coupon_id, now)
        reward_id = self._reward(code, wanted.reward_id, now)
        if code.is_one_time:
            self.found[wanted.code] = replace(code, coupon_id=wanted.coupon_id)
        if code.inviter_id is not None:
            self.invited.add((code.template_id, buyer_id))
        self.redeemed.append(Redeemed(wanted.code, buyer_id, wanted.coupon_id, reward_id))
        return coupon

    def _reward(self, code: Code, reward_id: int, now: datetime) -> int | None:
        """The inviter's coupon; where they may have none, the invited buyer gets one all the same."""
        if code.inviter_id is None or code.inviter_template_id is None:
            return None
        try:
            self.numbers.give(code.inviter_template_id, code.inviter_id, reward_id, now)
        except (CouponsEnded, CouponsExhausted, PerBuyerMaxReached):
            return None
        return reward_id


def want(code: str, region: str | None, next_id: Callable[[], int]) -> WantedCode:
    return WantedCode(code, region, next_id(), next_id())
