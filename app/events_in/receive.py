"""Takes an event in: once into the ledger, then applied at once if it can be; about payments, with others.

Enters: an event whose signature was verified, and its raw body. Leaves: 200 (taken, or known), 202 (of a type
that nobody reads). Must hold: an event that was answered 2xx is stored; applying it may fail without losing
it (a sweep retries).
"""

from __future__ import annotations

from datetime import timedelta

import msgspec

from app.bootstrap import Services
from app.events_in.apply import apply_or_put_off, reader
from app.events_in.intake import SOURCE, Arrival, report_of
from app.events_in.schemas import InboundEvent, PaymentNotified, Received
from app.lib.errors import InvalidRequest
from app.lib.metrics import INBOUND_EVENTS
from app.lib.sql import load

sql = load("events_in")

# The receiving process applies it at once; if it dies, the sweep takes it up after this.
TAKE_UP_AFTER_S = 2

TAKEN, STORED_ONLY = 200, 202


async def receive(services: Services, event: InboundEvent, raw: bytes) -> tuple[int, Received]:
    """The status and body to answer with. Raises InvalidRequest when a known type's data is malformed."""
    known = reader(event.type)
    data = _read_data(event, known[0]) if known else None
    if isinstance(data, PaymentNotified):
        arrival = Arrival(event, raw, report_of(data))
        if await services.intake.take(arrival):
            return TAKEN, Received(event.event_id, "APPLIED")
    now = services.clock.now()
    stored = await services.pool.fetchval(
        sql.store_event,
        SOURCE,
        event.event_id,
        event.type,
        event.occurred_at,
        now,
        msgspec.json.decode(raw),
        "RECEIVED" if known else "UNKNOWN",
        now + timedelta(seconds=TAKE_UP_AFTER_S) if known else None,
    )
    if stored is None:
        status = await services.pool.fetchval(sql.read_status, SOURCE, event.event_id)
        return TAKEN, Received(event.event_id, status)
    if known is None:
        INBOUND_EVENTS.labels("other", "UNKNOWN").inc()  # not by its name: anybody's word is no label
        return STORED_ONLY, Received(event.event_id, "UNKNOWN")
    applied = await apply_or_put_off(services, SOURCE, event.event_id)
    return TAKEN, Received(event.event_id, applied or "RECEIVED")


def _read_data(event: InboundEvent, shape: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.convert(event.data, shape)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"data: {error}") from None
