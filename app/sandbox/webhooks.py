"""Webhooks: written to the books with the fact they report, delivered until the merchant answers 2xx.

Enters: what happened to a payment or refund. Leaves: `POST {notify_url}/event/…` with the signature
`X-Signature: t=…,v1=…` over "t.body", made anew for each attempt. Must hold: no event is lost in a crash;
a merchant must expect each of them late, twice and out of order.
"""

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import sqlite3
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
import structlog

from app.sandbox import faults
from app.sandbox.schemas import OperationTaken
from app.sandbox.store import Store

# A merchant that needs longer to say "received" is treated as down, as real providers do (Adyen: 10 s).
DELIVERY_TIMEOUT_S = 10.0
# First retry quickly (a restart of the merchant), then at most every 30 s, for ever.
BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.2, 30.0
# So many at once: a merchant that hangs holds up no more than one round.
DELIVERIES_PER_ROUND_MAX = 64
# A wait ends earlier when a webhook is written; this bounds it if none is due.
IDLE_WAIT_S = 1.0

_log = structlog.get_logger(__name__)


def report_payment(store: Store, payment: sqlite3.Row, status: str, amount_minor: int) -> None:
    _write(
        store,
        payment,
        event_type="payment_notified_cm",
        status=status,
        detail={"payment_id": payment["reference"], "psp_reference": payment["psp_reference"]},
        amount_minor=amount_minor,
    )


def report_refused(store: Store, payment: sqlite3.Row, reason: str) -> None:
    _write(
        store,
        payment,
        event_type="payment_failed_cm",
        status="failed",
        detail={
            "payment_id": payment["reference"],
            "psp_reference": payment["psp_reference"],
            "reason": reason,
        },
        amount_minor=payment["amount_minor"],
    )


def report_refund(store: Store, payment: sqlite3.Row, refund: OperationTaken, status: str) -> None:
    _write(
        store,
        payment,
        event_type="refund_notified",
        status=status,
        detail={"refund_id": refund.reference, "psp_reference": refund.psp_reference},
        amount_minor=refund.amount_minor,
    )


def _write(
    store: Store,
    payment: sqlite3.Row,
    *,
    event_type: str,
    status: str,
    detail: dict[str, Any],
    amount_minor: int,
) -> None:
    """Inside the caller's transaction, so that the fact and its report are kept or lost together."""
    reference, currency = payment["reference"], payment["currency"]
    if faults.take(store, "webhook_never", status, reference) is not None:
        return
    if faults.take(store, "wrong_amount", status, reference) is not None:
        amount_minor -= 1
    if faults.take(store, "wrong_currency", status, reference) is not None:
        currency = "XXX"
    delay_ms = faults.take(store, "webhook_late", status, reference) or 0
    twice = faults.take(store, "webhook_twice", status, reference) is not None
    event_id = f"evt_{secrets.token_hex(12)}"
    body = {
        "event_id": event_id,
        "type": event_type,
        "occurred_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "data": detail
        | {"channel": "sandbox", "status": status, "amount_minor": amount_minor, "currency": currency},
    }
    store.queries.webhook_insert(
        store.connection,
        event_id=event_id,
        url=f"{payment['notify_url']}/event/{event_type}",
        body=msgspec.json.encode(body).decode(),
        due_at=time.time() + delay_ms / 1000,
        copies=2 if twice else 1,
    )


def sign(secret: str, body: bytes, now_s: int) -> str:
    digest = hmac.new(secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={now_s},v1={digest}"


class Deliverer:
    """Delivers what is due, in rounds; `wake` after a webhook was written."""

    def __init__(self, store: Store, secret: str) -> None:
        self._store = store
        self._secret = secret
        self._written = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Ends at once: what is under way is in the books and is delivered after the next start."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def wake(self) -> None:
        self._written.set()

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=DELIVERY_TIMEOUT_S, trust_env=False) as client:
            while True:
                self._written.clear()
                try:
                    delivered, idle_s = await self._deliver_round(client), self._idle_s()
                except sqlite3.Error:  # a full disk, say: the books are whole, the next round tries again
                    _log.exception("webhook_round_failed")
                    delivered, idle_s = 0, IDLE_WAIT_S
                if delivered == 0:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._written.wait(), idle_s)

    def _idle_s(self) -> float:
        next_due = self._store.queries.webhook_next_due(self._store.connection)["due_at"]
        return IDLE_WAIT_S if next_due is None else min(max(next_due - time.time(), 0.0), IDLE_WAIT_S)

    async def _deliver_round(self, client: httpx.AsyncClient) -> int:
        due = list(
            self._store.queries.webhooks_due(
                self._store.connection, now=time.time(), limit=DELIVERIES_PER_ROUND_MAX
            )
        )
        await asyncio.gather(*(self._deliver(client, webhook) for webhook in due))
        return len(due)

    async def _deliver(self, client: httpx.AsyncClient, webhook: sqlite3.Row) -> None:
        body = webhook["body"].encode()
        headers = {
            "Content-Type": "application/json",
            "X-Signature": sign(self._secret, body, int(time.time())),
        }
        try:
            accepted = (await client.post(webhook["url"], content=body, headers=headers)).is_success
        except httpx.HTTPError as error:
            _log.info("webhook_not_delivered", event_id=webhook["event_id"], error=repr(error))
            accepted = False
        if accepted:
            self._store.queries.webhook_accepted(self._store.connection, event_id=webhook["event_id"])
        else:
            wait_s = min(BACKOFF_FIRST_S * 2 ** min(webhook["attempts"], 16), BACKOFF_MAX_S)
            self._store.queries.webhook_refused(
                self._store.connection, event_id=webhook["event_id"], due_at=time.time() + wait_s
            )
