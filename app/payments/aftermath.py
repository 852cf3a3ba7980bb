"""What others must hear once a transaction about money has committed: the gate, the caches, the workers.

Verbs fill it inside the transaction; whoever commits follows it up. Nothing is lost if that fails: the
reconciler corrects the gate, cached coupons expire, and the sweep sends the refunds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.stock.scripts import PoolFact

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.coupons.held import HeldCoupons
    from app.stock.gate import Gate


class Aftermath(msgspec.Struct):
    pools: list[PoolFact] = []
    coupon_buyer_ids: list[str] = []
    refund_ids: list[int] = []
    # groups that have ended, or in which somebody has got a place
    group_ids: list[int] = []


async def follow_up(services: Services, aftermath: Aftermath) -> None:
    """After the commit."""
    await tell_gate_and_caches(services.gate, services.coupons, aftermath)
    if aftermath.group_ids:
        await services.joining.slots.load(aftermath.group_ids)
    for refund_id in aftermath.refund_ids:
        await services.jobs.send("send_refund", refund_id, job_id=f"send_refund:{refund_id}")


async def tell_gate_and_caches(gate: Gate, coupons: HeldCoupons, aftermath: Aftermath) -> None:
    if aftermath.pools:
        await gate.settle_pools(aftermath.pools)
    if aftermath.coupon_buyer_ids:
        await coupons.forget(aftermath.coupon_buyer_ids)
