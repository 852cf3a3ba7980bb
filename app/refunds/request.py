"""`POST /refund/refund`: asks for money back, whole or by line.

Enters: the order (parent, child or single), lines or an amount, an Idempotency-Key. Leaves: a refund that
waits to be sent. Must hold: what is asked back is counted under row locks before anything is sent, so
two requests that arrive together never exceed what was captured; CHECKs refuse it a second time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import asyncpg
import msgspec

from app.balances.deductions import LineShare
from app.balances.give_back import give_back, read_left
from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.errors import Conflict
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection
from app.lib.sql import load
from app.orders.errors import OrderNotFound
from app.orders.state import OrderStatus
from app.payments.aftermath import Aftermath, follow_up
from app.payments.state import PayOrderStatus
from app.refunds.schemas import RefundReply, RefundRequest
from app.refunds.settle import RefundOutcome, settle
from app.refunds.share import Line, Part, share, share_deductions, share_earned
from app.refunds.state import RefundStatus

sql = load("refunds")

ACCEPTED = 202
# An order of which nothing was to be paid in money is paid, too.
PAID = (PayOrderStatus.PAID, PayOrderStatus.PART_REFUNDED, PayOrderStatus.REFUNDED)


class OrderNotRefundable(Conflict):
    """Nothing was captured for it (yet), or it is over."""

    code = "order_not_refundable"
    title = "There is no money to give back for this order"


async def request_refund(
    services: Services, caller: Caller, request: RefundRequest, key: str | None
) -> Answer:
    """Raises OrderNotFound, OrderNotRefundable, RefundTooHigh, RefundMismatch, IdempotencyKeyReused."""
    once = identify("refund", caller.sub, key, request)

    aftermath = Aftermath()

    async def effect(connection: Connection) -> Answer:
        reply = await refund_in(services, connection, caller, request, aftermath)
        return Answer(ACCEPTED, msgspec.json.encode(reply))

    answer = await run_once(services.pool, once, effect)
    await follow_up(services, aftermath)
    return answer


async def refund_in(
    services: Services,
    connection: Connection,
    caller: Caller,
    request: RefundRequest,
    aftermath: Aftermath,
) -> RefundReply:
    """The same inside the caller's transaction (a paid order that is canceled). Raises as above."""
    order_id = int(request.order_id)
    orders = await connection.fetch(sql.lock_orders, order_id)
    order = next((row for row in orders if row["order_id"] == order_id), None)
    if order is None or (caller.role == "buyer" and order["buyer_id"] != caller.sub):
        raise OrderNotFound()
    due = await connection.fetchrow(sql.lock_pay_order, order["parent_id"] or order_id)
    if due is None or due["status"] not in PAID or order["status"] == OrderStatus.PENDING_GROUP:
        raise OrderNotRefundable(f"the order is {order['status']}", order_status=order["status"])
    meant = [row["order_id"] for row in orders if order_id in (row["order_id"], row["parent_id"])]
    left = await read_left(connection, meant)
    deducted: dict[int, int] = defaultdict(int)
    for each in left:
        deducted[each.line_id] += each.amount_minor
    lines = [
        Line(
            row["order_id"],
            row["line_id"],
            row["quantity"] - row["refunded_quantity"],
            row["payable_minor"] - row["refunded_minor"],
            deducted[row["line_id"]],
        )
        for row in await connection.fetch(sql.read_lines, meant)
    ]
    parts = share(lines, request.lines, request.amount_minor)
    shares = share_deductions(lines, parts, left)
    cause = "buyer" if caller.role == "buyer" else "merchant"
    refund_id = await _write(services, connection, order["buyer_id"], due, parts, cause, request.reason)
    earned = sum(row["points_earned"] for row in orders)  # its root has them
    reply = _reply(refund_id, parts, shares, earned, due)
    await give_back(
        connection,
        refund_id,
        due["order_id"],
        order["buyer_id"],
        shares,
        reply.points_taken_back,
        services.clock.now(),
    )
    if reply.amount_minor:
        aftermath.refund_ids.append(refund_id)
    else:  # there is no channel to wait for
        nothing = RefundOutcome(str(refund_id), "succeeded", 0, due["currency"])
        await settle(services, connection, nothing, aftermath)
        reply.status = RefundStatus.SUCCEEDED
    return reply


def _reply(
    refund_id: int, parts: Sequence[Part], shares: Sequence[LineShare], earned: int, due: asyncpg.Record
) -> RefundReply:
    amount_minor = sum(part.amount_minor for part in parts)
    gone_minor = due["refunding_minor"] + due["refunded_minor"]
    return RefundReply(
        str(refund_id),
        RefundStatus.REQUESTED,
        amount_minor,
        sum(share.amount for share in shares if share.kind == "points"),
        sum(share.amount_minor for share in shares if share.kind == "gift_card"),
        sum(share.amount_minor for share in shares if share.kind == "red_packet"),
        share_earned(earned, gone_minor, amount_minor, due["captured_minor"]),
    )


async def _write(
    services: Services,
    connection: Connection,
    buyer_id: str,
    due: asyncpg.Record,
    parts: Sequence[Part],
    cause: str,
    reason: str | None,
) -> int:
    refund_id, now = services.ids.next(), services.clock.now()
    amount_minor = sum(part.amount_minor for part in parts)
    columns = [list(column) for column in zip(*map(msgspec.structs.astuple, parts), strict=True)]
    await connection.execute(sql.take_from_lines, *columns)
    await connection.execute(sql.reserve_refund, due["order_id"], amount_minor)
    await connection.execute(
        sql.insert_refund,
        refund_id,
        due["order_id"],
        due["payment_id"],
        buyer_id,
        cause,
        due["currency"],
        amount_minor,
        reason,
        now,
    )
    await connection.execute(sql.insert_refund_lines, refund_id, *columns)
    return refund_id
