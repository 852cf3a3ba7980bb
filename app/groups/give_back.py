"""The money of paid members goes back: their group has failed, has no goods for them, or was over.

Inside the transaction of the caller, who has locked their orders. The refunds wait to be sent, which a sweep
does within a second: a job for each would take longer than the settlement of a thousand groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.bootstrap import Services
from app.groups.ledger import sql
from app.lib.postgres import Connection
from app.payments.aftermath import Aftermath
from app.refunds.settle import RefundOutcome, settle


async def give_back(
    services: Services,
    connection: Connection,
    reasons: Mapping[int, str],
    now: datetime,
    aftermath: Aftermath,
) -> None:
    """`reasons`: why, by order. Whose money is authorized only gets it once it has been taken."""
    if not reasons:
        return
    order_ids = list(reasons)
    refund_ids = [services.ids.next() for _ in order_ids]
    refunds = await connection.fetch(sql.refund_members, order_ids, refund_ids, now, list(reasons.values()))
    await connection.execute(sql.leave_strays, order_ids)
    for refund in refunds:
        if refund["amount_minor"] == 0:  # there is no channel to wait for
            nothing = RefundOutcome(str(refund["refund_id"]), "succeeded", 0, refund["currency"])
            await settle(services, connection, nothing, aftermath)
