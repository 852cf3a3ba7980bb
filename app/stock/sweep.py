"""Reservations whose process died between gate and commit: out of flight, after asking the ledger.

Safe beside living traffic: only those past their deadline are looked at, which no living order reaches, and
whatever the ledger has placed is settled as placed.
"""

from __future__ import annotations

import time
from collections import defaultdict

from app.lib.idempotency import sql as idempotency_sql
from app.lib.postgres import Pool
from app.lib.valkey import GateDown, Valkey, hash_fields
from app.stock.gate import Gate
from app.stock.keys import FLIGHT_PATTERN, shop_of
from app.stock.scripts import InFlight, read_in_flight


async def read_flight(valkey: Valkey, key: str) -> list[InFlight]:
    """All reservations in flight of one shop. Raises GateDown."""
    entries = await valkey.command("HGETALL", key)
    return [read_in_flight(field, entry) for field, entry in hash_fields(entries)]


async def sweep_flight(valkey: Valkey, gate: Gate, pool: Pool) -> int:
    """Settle what is overdue; returns how many. A gate that is down holds nothing to sweep."""
    try:
        now_ms = int(time.time() * 1000)
        overdue: dict[str, list[InFlight]] = defaultdict(list)
        for key in await valkey.scan(FLIGHT_PATTERN):
            for entry in await read_flight(valkey, key):
                if entry.deadline_ms <= now_ms:
                    overdue[shop_of(key)].append(entry)
    except GateDown:
        return 0
    for shop_id, entries in overdue.items():
        rows = await pool.fetch(idempotency_sql.read_keys, [entry.reservation_id for entry in entries])
        placed = {row["digest"] for row in rows}
        # The ledger's word first, then out of flight: too little for a moment, never too much.
        await gate.load([(shop_id, pool_id) for entry in entries for pool_id, _ in entry.pools])
        await gate.settle(
            {shop_id: [(entry.reservation_id, entry.reservation_id in placed) for entry in entries]}
        )
    return sum(map(len, overdue.values()))
