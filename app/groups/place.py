"""`POST /groupbuy/orders`: start a group, or take a slot in one.

Enters a request, leaves the placed order's answer or an AppError that changed nothing; a key that has placed
an order always gets that order. Orders that wait at the same moment share one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import stamina
import structlog

from app.campaigns.errors import CampaignItemNotFound
from app.groups.admit import GroupDraft, Offer
from app.groups.ledger import Outcome, place_batch
from app.groups.schemas import GroupOrderRequest
from app.lib.batching import Batcher
from app.lib.clock import Clock
from app.lib.errors import AppError, OutcomeUnknown, Unavailable
from app.lib.hot import HotRequest
from app.lib.idempotency import Answer, Once, identify
from app.lib.postgres import TRANSIENT_ERRORS, Pool, transaction
from app.lib.sql import load
from app.settings import Settings
from app.stock.gate import Gate

if TYPE_CHECKING:
    from app.bootstrap import Services

log = structlog.get_logger()
sql = load("groups")

CALL = "groupbuy/orders"
# As the checkout's committer: ten round trips a batch; one lane, since orders of one group share its row.
BATCH_SIZE_MAX = 64
LANES_MAX = 1
BACKLOG_MAX = 4_096
RETRY_FOR_S = 8.0
RETRY_WAIT_FIRST_S = 0.02
RETRY_WAIT_MAX_S = 0.5


@dataclass(slots=True)
class Joining:
    """What placing group orders keeps alive in a process."""

    offers: Batcher[int, Offer]
    committer: Batcher[GroupDraft, Answer]

    async def stop(self) -> None:
        """Finish every order that was taken."""
        await self.offers.stop()
        await self.committer.stop()


def open_joining(pool: Pool, gate: Gate, clock: Clock, settings: Settings) -> Joining:
    pay_timeout = timedelta(seconds=settings.pay_timeout_s)

    async def read_offers(item_ids: list[int]) -> Sequence[Offer | AppError]:
        rows = await pool.fetch(sql.read_offers, item_ids)
        found = {row["campaign_item_id"]: Offer(**row) for row in rows}
        return [found.get(each) or CampaignItemNotFound() for each in item_ids]

    async def commit(drafts: list[GroupDraft]) -> Sequence[Outcome]:
        try:
            async for attempt in stamina.retry_context(
                on=TRANSIENT_ERRORS,
                attempts=None,
                timeout=RETRY_FOR_S,
                wait_initial=RETRY_WAIT_FIRST_S,
                wait_max=RETRY_WAIT_MAX_S,
            ):
                with attempt:
                    async with transaction(pool) as connection:
                        outcomes, facts = await place_batch(connection, drafts, clock.now(), pay_timeout)
        except TRANSIENT_ERRORS as error:
            log.error("group_orders_given_up", orders=len(drafts), error=repr(error))
            return [OutcomeUnknown()] * len(drafts)
        await gate.settle_pools(facts)
        return outcomes

    return Joining(
        Batcher(read_offers, name="group-offers", size_max=256, lanes_max=1, backlog_max=BACKLOG_MAX),
        Batcher(
            commit, name="group-commit", size_max=BATCH_SIZE_MAX, lanes_max=LANES_MAX, backlog_max=BACKLOG_MAX
        ),
    )


async def place_group_order(services: Services, request: HotRequest[GroupOrderRequest]) -> Answer:
    """Start a group (it begins when this is paid), or take a slot in one; held until the deadline."""
    assert request.caller is not None
    once = identify(CALL, request.caller.sub, request.idempotency_key, request.body)
    return await services.placing.in_progress.run(once, lambda: _place(services, once, request.body))


async def _place(services: Services, once: Once, body: GroupOrderRequest) -> Answer:
    joining = services.joining
    try:
        offer = await joining.offers.submit(int(body.campaign_item_id))
        draft = await _draft(services, once, body, offer)
    except Unavailable:
        raise
    except AppError:
        if (earlier := await services.placing.replays.find(once)) is not None:
            return earlier
        raise
    answer = await joining.committer.submit(draft)
    if answer.replayed and f'"order_id":"{draft.order_id}"'.encode() in answer.body:
        return Answer(answer.status, answer.body)  # its own commit, whose reply was lost
    return answer


async def _draft(services: Services, once: Once, body: GroupOrderRequest, offer: Offer) -> GroupDraft:
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
    )
