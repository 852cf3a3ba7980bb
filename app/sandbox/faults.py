"""Misbehaviour on demand: each fault asked for is used up once per time it strikes.

A fault is taken inside the transaction of the work it spoils, or, for calls, before it. Faults are kept in
the books, so a restarted provider still misbehaves as ordered.
"""

import asyncio

from app.sandbox.errors import FaultInjected
from app.sandbox.schemas import Call, FaultKind, FaultRequest
from app.sandbox.store import Store


def order(store: Store, fault: FaultRequest) -> None:
    with store.transaction() as connection:
        store.queries.fault_insert(
            connection,
            kind=fault.kind,
            call=fault.call,
            reference=fault.reference,
            times=fault.times,
            delay_ms=fault.delay_ms,
        )


def clear(store: Store) -> None:
    with store.transaction() as connection:
        store.queries.faults_clear(connection)


def take(store: Store, kind: FaultKind, call: str, reference: str) -> int | None:
    """The fault's delay in milliseconds, or None: nothing was ordered. Takes one time off."""
    row = store.queries.fault_take(store.connection, kind=kind, call=call, reference=reference)
    return None if row is None else int(row["delay_ms"])


def before_work(store: Store, call: Call, reference: str) -> None:
    if take(store, "http_500", call, reference) is not None:
        raise FaultInjected("nothing was done")


async def after_work(store: Store, call: Call, reference: str) -> None:
    delay_ms = take(store, "lost_reply", call, reference)
    if delay_ms is not None:
        await asyncio.sleep(delay_ms / 1000)
        raise FaultInjected("the work was done; this reply is as good as lost")
