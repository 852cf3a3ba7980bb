"""How far the slots' gate and the ledger differ; what does is forgotten, and loaded when asked for.

Forgetting is always safe. A group with claims in flight is left alone; those that nobody settles end first.
"""

from __future__ import annotations

from typing import NamedTuple

from app.groups.gate import read_facts
from app.groups.keys import GATE_PATTERN, gate_keys, group_of
from app.groups.scripts import CLAIM, SlotFacts, claim_call, to_ms
from app.lib import metrics
from app.lib.clock import Clock
from app.lib.postgres import Pool
from app.lib.valkey import KEYS_AT_A_TIME, Valkey, hash_fields

MEMBER = b"@"
NOT_THERE = {"status": "none", "free": "0", "members": ""}


class SlotDrift(NamedTuple):
    """One fact that differs. `what`: "status", "free" (slots), "members"."""

    group_id: int
    what: str
    gate: str
    ledger: str


async def measure_slot_drift(valkey: Valkey, pool: Pool) -> list[SlotDrift]:
    """Of all groups in the gate that are at rest. Raises GateDown when Valkey is not there."""
    held = await _read_gate(valkey)
    ledger = {each.group_id: _of_ledger(each) for each in await read_facts(pool, held)}
    drifts = [
        SlotDrift(group_id, what, gate, ledger.get(group_id, NOT_THERE)[what])
        for group_id, facts in held.items()
        for what, gate in facts.items()
        if gate != ledger.get(group_id, NOT_THERE)[what]
    ]
    metrics.SLOT_GATE_DRIFT.set(len(drifts))
    return drifts


async def reconcile_slots(valkey: Valkey, pool: Pool, clock: Clock) -> list[SlotDrift]:
    """End the claims of dead processes, forget what differs; returns that. Raises GateDown."""
    group_ids = {group_of(key) for key in await valkey.scan(GATE_PATTERN)}
    now_ms = to_ms(clock.now())
    await valkey.run_scripts(CLAIM, [claim_call(group_id, (), now_ms) for group_id in group_ids])
    drifts = await measure_slot_drift(valkey, pool)
    for group_id in {drift.group_id for drift in drifts}:
        slots, _ = gate_keys(group_id)
        await valkey.command("DEL", slots)
    return drifts


async def _read_gate(valkey: Valkey) -> dict[int, dict[str, str]]:
    """The facts of those that are loaded and have nothing in flight."""
    group_ids = sorted({group_of(key) for key in await valkey.scan(GATE_PATTERN)})
    held = {}
    for start in range(0, len(group_ids), KEYS_AT_A_TIME):
        chunk = group_ids[start : start + KEYS_AT_A_TIME]
        keys = [gate_keys(group_id) for group_id in chunk]
        groups = await valkey.commands([("HGETALL", slots) for slots, _ in keys])
        in_flight = await valkey.commands([("HLEN", flight) for _, flight in keys])
        for group_id, raw, claims in zip(chunk, groups, in_flight, strict=True):
            if raw and not claims:
                held[group_id] = _of_gate(dict(hash_fields(raw)))
    return held


def _of_gate(fields: dict[bytes, bytes]) -> dict[str, str]:
    members = sorted(
        f"{name[1:].decode()}:{order.decode()}" for name, order in fields.items() if name[:1] == MEMBER
    )
    return {
        "status": fields[b"status"].decode(),
        "free": fields[b"free"].decode(),
        "members": " ".join(members),
    }


def _of_ledger(facts: SlotFacts) -> dict[str, str]:
    members = sorted(f"{buyer_id}:{order_id}" for buyer_id, order_id in facts.members if facts.is_open)
    return {"status": facts.status, "free": str(facts.free), "members": " ".join(members)}
