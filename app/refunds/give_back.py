"""Sends back money that counts for no order: it came too late, a second time, or at a price of before.

Inside the transaction that books it; once per attempt, however often it is asked for.
"""

from __future__ import annotations

from typing import Any

from app.bootstrap import Services
from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("refunds")


async def give_back(services: Services, connection: Connection, payment: Any, cause: str) -> int:
    """`payment` is the attempt's row; `cause` is late_payment, double_payment or wrong_amount.

    Returns the refund's id.
    """
    refund_id: int | None = await connection.fetchval(
        sql.insert_uncounted_refund,
        services.ids.next(),
        payment["order_id"],
        payment["payment_id"],
        payment["buyer_id"],
        cause,
        payment["currency"],
        payment["amount_minor"],
        services.clock.now(),
    )
    assert refund_id is not None, "an attempt is captured once, so its money goes back once"
    return refund_id
