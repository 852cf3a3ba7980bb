"""`POST /groupbuy/orders`: start a group, or take a slot in one.

Enters a request, leaves the placed order's answer or an AppError that changed nothing; a key that has placed
an order always gets that order. Who joins a group must pass its gate first; orders that wait at the same
moment share one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.groups.admit import GroupDraft, Offer
from app.groups.commit import GroupCommitter
from app.groups.errors import AlreadyMember, GroupFull, GroupOver
from app.groups.gate import Claim, SlotGate
from app.groups.offers import Offers
from app.groups.schemas import GroupOrderRequest
from app.groups.scripts import Asked, Verdict
from app.lib import metrics
from app.lib.clock import Clock
from app.lib.errors import AppError, OutcomeUnknown, Unavailable
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer, Once, identify
from app.lib.postgres import Pool
from app.lib.valkey import Valkey
from app.settings import Settings
from app.stock.gate import Gate

if TYPE_CHECKING:
    from app.bootstrap import Services

CALL = "groupbuy/orders"


@dataclass(slots=True)
class Joining:
    """What placing group orders keeps alive in a process."""

    offers: Offers
    slots: SlotGate
    committer: GroupCommitter

    async def stop(self) -> None:
        """Finish every order that was taken."""
        await self.offers.stop()
        await self.slots.stop()
        await self.committer.stop()


def open_joining(pool: Pool, valkey: Valkey, gate: Gate, clock: Clock, settings: Settings) -> Joining:
    slots = SlotGate(valkey, pool, clock)
    return Joining(Offers(pool), slots, GroupCommitter(pool, gate, slots, clock, settings))


async def place_group_order(services: Services, request: HotRequest[GroupOrderRequest]) -> Answer:
    """Start a group (it begins when this is paid), or take a slot in one; held until the deadline."""
    assert request.caller is not None
    once = identify(CALL, request.caller.sub, request.idempotency_key, request.body)
    try:
        answer = await services.placing.in_progress.run(once, lambda: _place(services, once, request.body))
    except AppError as refused:
        metrics.GROUP_ORDERS.count(refused.code)
        raise
    metrics.GROUP_ORDERS.count("replayed" if answer.replayed else "placed")
    return answer


async def _place(services: Services, once: Once, body: GroupOrderRequest) -> Answer:
    joining = services.joining
    claim = _claim(once, body)
    claimed = False
    try:
        offer = await joining.offers.get(int(body.campaign_item_id))
        claimed = claim is not None and await _pass_gate(joining.slots, claim)
        draft = await _draft(services, once, body, offer, claimed=claimed)
    except AppError as refused:
        if claimed:
            await _give_back(joining.slots, claim)
        if isinstance(refused, Unavailable) or (earlier := await services.placing.replays.find(once)) is None:
            raise
        return earlier
    try:
        answer = await joining.committer.place(draft)
    except OutcomeUnknown:
        raise
    except Unavailable:  # it never reached the ledger
        if claimed:
            await _give_back(joining.slots, claim)
        raise
    if answer.replayed and f'"order_id":"{draft.order_id}"'.encode() in answer.body:
        return Answer(answer.status, answer.body)  # its own commit, whose reply was lost
    return answer


def _claim(once: Once, body: GroupOrderRequest) -> Claim | None:
    """None for who starts a group: it has slots from its first payment on."""
    if body.group_id is None:
        return None
    return Claim(int(body.group_id), Asked(once.digest.hex(), once.caller_id))


async def _pass_gate(slots: SlotGate, claim: Claim) -> bool:
    """Whether the slot is counted as in flight for this call; else the ledger decides alone.

    Raises GroupOver, AlreadyMember, GroupFull, Unavailable.
    """
    verdict, detail = await slots.claim(claim)
    if verdict is Verdict.OVER:
        raise GroupOver(group_status=detail)
    if verdict is Verdict.MEMBER:
        raise AlreadyMember(order_id=detail)
    if verdict is Verdict.FULL:
        raise GroupFull()
    return verdict is Verdict.CLAIMED


async def _give_back(slots: SlotGate, claim: Claim | None) -> None:
    assert claim is not None, "only what was claimed"
    await slots.tell([], {claim.group_id: [claim.asked.claim_id]})


async def _draft(
    services: Services, once: Once, body: GroupOrderRequest, offer: Offer, *, claimed: bool
) -> GroupDraft:
    address = None
    if offer.item_type == "physical":
        address = await services.placing.deliver_to.load(once.caller_id, body.address_id)
    return GroupDraft(
        once,
        services.ids.next(),
        services.ids.next(),
        offer,
        body.quantity,
        body.payable_minor,
        None if body.group_id is None else int(body.group_id),
        body.join_other,
        address,
        services.clock.now(),
        claimed,
    )
