"""Ends a refund: the channel says that the money has gone back, or that it could not.

Enters: the outcome (from an event or from asking), inside the caller's transaction. Leaves: the refund, what
was paid, the double entries, the order (closed once all of it has gone back before shipment), its stock and
the coupons and seats that come back.
Must hold: the same outcome twice, late or for an earlier reference changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Literal

import asyncpg
import msgspec
import structlog

from app.bootstrap import Services
from app.coupons import claim as coupons
from app.groups import members
from app.lib import outbox
from app.lib.outbox import Event
from app.lib.postgres import Connection
from app.lib.sql import load
from app.payments import ledger
from app.payments.aftermath import Aftermath
from app.payments.state import PayOrderStatus
from app.refunds.state import RefundStatus, sources
from app.seats.take_back import return_seats
from app.stock.scripts import PoolFact

log = structlog.get_logger()
sql = load("refunds")

# A refund that the channel refused is tried under a new reference this often, the wait doubling from a
# minute; then it is parked as FAILED for a person (a closed card does not open again).
ATTEMPTS_MAX = 8
RETRY_FIRST_S = 60

UNCOUNTED = frozenset({"late_payment", "double_payment", "wrong_amount"})


class RefundNotVisible(Exception):
    """A refund of this id is not there: its commit may still be on its way."""


class RefundOutcome(msgspec.Struct, frozen=True):
    """What the channel says about the reference that we sent."""

    reference: str
    status: Literal["succeeded", "failed"]
    amount_minor: int
    currency: str
    psp_reference: str | None = None
    reason: str | None = None


class Settled(Enum):
    DONE = auto()
    NOTHING = auto()  # known already
    REJECT = auto()  # does not fit: somebody must look


def reference_of(refund_id: int, attempt: int) -> str:
    """What the channel deduplicates by: the same after a time-out, another one after a failure."""
    return str(refund_id) if attempt == 1 else f"{refund_id}-{attempt}"


async def settle(
    services: Services, connection: Connection, outcome: RefundOutcome, aftermath: Aftermath
) -> Settled:
    """Raises RefundNotVisible."""
    refund_id = int(outcome.reference.partition("-")[0])
    known = await connection.fetchrow(sql.read_refund, refund_id)
    if known is None:
        raise RefundNotVisible(refund_id)
    orders = await connection.fetch(sql.lock_orders, known["order_id"])
    refund = await connection.fetchrow(sql.lock_refund, refund_id)
    assert refund is not None, "refunds are never deleted"
    if (outcome.amount_minor, outcome.currency) != (refund["amount_minor"], refund["currency"]):
        return Settled.REJECT
    if outcome.reference != reference_of(refund_id, refund["attempt"]):
        # An earlier reference has failed; that it says so again is no news, anything else is for a person.
        return Settled.NOTHING if outcome.status == "failed" else Settled.REJECT
    target = RefundStatus.SUCCEEDED if outcome.status == "succeeded" else RefundStatus.FAILED
    if refund["status"] not in sources(target):
        return Settled.NOTHING if refund["status"] == target else Settled.REJECT
    if outcome.status == "failed":
        await _fail(services, connection, refund, outcome)
    else:
        await _succeed(services, connection, refund, outcome, orders, aftermath)
    log.info("refund_settled", refund_id=refund_id, order_id=refund["order_id"], status=outcome.status)
    return Settled.DONE


async def _fail(
    services: Services, connection: Connection, refund: asyncpg.Record, outcome: RefundOutcome
) -> None:
    now, attempt = services.clock.now(), refund["attempt"]
    again_at = None
    if attempt < ATTEMPTS_MAX:
        again_at = now + timedelta(seconds=RETRY_FIRST_S * 2 ** (attempt - 1))
    else:
        log.error("refund_parked", refund_id=refund["refund_id"], reason=outcome.reason)
    await _move(connection, refund, RefundStatus.FAILED, outcome, now, again_at)


async def _succeed(
    services: Services,
    connection: Connection,
    refund: asyncpg.Record,
    outcome: RefundOutcome,
    orders: list[asyncpg.Record],
    aftermath: Aftermath,
) -> None:
    now = services.clock.now()
    await _move(connection, refund, RefundStatus.SUCCEEDED, outcome, now, None)
    events = [_event(refund)]
    if refund["cause"] not in UNCOUNTED:
        order_id = refund["order_id"]
        status = await connection.fetchval(sql.settle_pay_order, order_id, refund["amount_minor"])
        if status == PayOrderStatus.REFUNDED:
            aftermath.coupon_buyer_ids += await coupons.give_back_refunded(connection, order_id, now)
        events += await _close_and_return(connection, refund, orders, now, aftermath)
    await _post(connection, refund)
    await outbox.append(connection, events)


async def _close_and_return(
    connection: Connection,
    refund: asyncpg.Record,
    orders: list[asyncpg.Record],
    now: datetime,
    aftermath: Aftermath,
) -> list[Event]:
    """Before shipment: the units refunded come back to stock, and an order without money left is over."""
    closed = await connection.fetch(sql.close_refunded_orders, refund["refund_id"], now)
    not_shipped = [order["order_id"] for order in orders if order["status"] == "PENDING_SHIPMENT"]
    # A group order whose group did not come about had taken no goods yet.
    waited = [order["order_id"] for order in orders if order["status"] == "PENDING_GROUP"]
    if waited:
        await members.refunded(connection, waited)
    closed_ids = [order["order_id"] for order in closed if order["order_id"] not in waited]
    pools = await connection.fetch(sql.return_stock, refund["refund_id"], not_shipped, closed_ids)
    aftermath.pools += [PoolFact(*pool) for pool in pools]
    await return_seats(connection, refund["refund_id"], not_shipped, closed_ids)
    return [
        Event(
            "order.closed",
            order["order_id"],
            order["version"],
            {"order_id": str(order["order_id"]), "status": "CLOSED", "reason": "refunded"},
        )
        for order in closed
    ]


async def _post(connection: Connection, refund: asyncpg.Record) -> None:
    if refund["amount_minor"] == 0:  # only points, cards or packets: balances have their own entries
        return
    channel = await connection.fetchval(sql.read_channel, refund["payment_id"])
    entries = {ledger.channel_account(channel): -refund["amount_minor"]}
    if refund["cause"] in UNCOUNTED:
        entries[ledger.UNALLOCATED] = refund["amount_minor"]
    else:
        for row in await connection.fetch(sql.read_refunded_shares, refund["refund_id"]):
            entries[ledger.shop_account(row["shop_id"])] = row["amount_minor"]
    await ledger.post(
        connection, "refund", refund["refund_id"], refund["currency"], refund["order_id"], entries
    )


def _event(refund: asyncpg.Record) -> Event:
    payload = {
        "refund_id": str(refund["refund_id"]),
        "order_id": str(refund["order_id"]),
        "cause": refund["cause"],
        "currency": refund["currency"],
        "amount_minor": refund["amount_minor"],
    }
    return Event("refund.succeeded", refund["refund_id"], 1, payload)


async def _move(
    connection: Connection,
    refund: asyncpg.Record,
    target: RefundStatus,
    outcome: RefundOutcome,
    now: datetime,
    send_at: datetime | None,
) -> None:
    moved = await connection.fetchrow(
        sql.move_refund,
        refund["refund_id"],
        target,
        sources(target),
        outcome.psp_reference,
        outcome.reason,
        now,
        send_at,
    )
    assert moved is not None, "the refund is locked and was judged in this state"
