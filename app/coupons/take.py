"""`POST /coupon/claim`: a buyer takes a coupon that is there for the taking.

Enters a request, leaves the coupon or an AppError that changed nothing. A key that has brought a coupon
always gets that coupon, whatever would refuse it now. In a rush nearly everybody is refused, by the gate
alone: the ledger is asked about a refused key only where the buyer has such a coupon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.coupons.admit import why_closed, why_elsewhere
from app.coupons.commit import CouponCommitter, Taken
from app.coupons.errors import CouponsExhausted, PerBuyerMaxReached, TemplateNotFound
from app.coupons.gate import Claim, CouponGate
from app.coupons.held import HeldCoupons
from app.coupons.offered import GrantedCounts
from app.coupons.schemas import ClaimRequest
from app.coupons.scripts import Asked, Verdict
from app.lib import metrics
from app.lib.errors import AppError
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer, Once, identify
from app.lib.postgres import Pool
from app.lib.valkey import Valkey

if TYPE_CHECKING:
    from app.bootstrap import Services

CALL = "coupon/claim"


@dataclass(slots=True)
class Taking:
    """What claiming keeps alive in a process."""

    gate: CouponGate
    committer: CouponCommitter
    offered: GrantedCounts

    async def stop(self) -> None:
        """Finish every claim that was taken."""
        await self.offered.stop()
        await self.gate.stop()
        await self.committer.stop()


def open_taking(pool: Pool, valkey: Valkey, held: HeldCoupons) -> Taking:
    gate = CouponGate(valkey, pool)
    return Taking(gate, CouponCommitter(pool, gate, held), GrantedCounts(pool))


async def claim(services: Services, request: HotRequest[ClaimRequest]) -> Answer:
    """Take a coupon of a template that is open for claiming, once a key."""
    assert request.caller is not None
    once = identify(CALL, request.caller.sub, request.idempotency_key, request.body)
    try:
        answer = await services.placing.in_progress.run(once, lambda: _claim(services, once, request.body))
    except AppError as refused:
        metrics.COUPON_CLAIMS.count(refused.code)
        raise
    metrics.COUPON_CLAIMS.count("replayed" if answer.replayed else "given")
    return answer


async def _claim(services: Services, once: Once, wanted: ClaimRequest) -> Answer:
    now, template_id = services.clock.now(), wanted.template_id
    offer = services.prices.book.offers.get(template_id)
    if offer is None:
        return await _earlier_or(services, once, TemplateNotFound())
    closed = why_closed(offer.document, now)
    if closed is None and offer.document.claim_regions:
        closed = why_elsewhere(offer.document, await region_of(services, once.caller_id, wanted.address_id))
    reply = await services.taking.gate.ask(
        Claim(offer, Asked(once.digest.hex(), once.caller_id, is_open=closed is None))
    )
    refusal = closed
    if reply.verdict is Verdict.EXHAUSTED:
        refusal = CouponsExhausted(left=0)
    elif reply.verdict is Verdict.LIMIT:
        refusal = PerBuyerMaxReached(user_ids=[once.caller_id])
    if refusal is None or reply.verdict is Verdict.REPEAT:
        return await services.taking.committer.take(Taken(once, template_id, services.ids.next(), now))
    if reply.holds:
        return await _earlier_or(services, once, refusal)
    raise refusal


async def region_of(services: Services, buyer_id: str, address_id: str | None) -> str | None:
    """Where one of the buyer's addresses is; None: they have named none."""
    return None if address_id is None else await services.regions.of(buyer_id, address_id)


async def _earlier_or(services: Services, once: Once, refusal: AppError) -> Answer:
    """What this key has brought before. Raises the refusal when it has brought nothing."""
    earlier = await services.placing.replays.find(once)
    if earlier is None:
        raise refusal
    return earlier
