"""How far the coupons' gate and the ledger differ; what does is forgotten, and loaded when asked for.

A gate that was away for a moment and has come back as it was does not know what was given meanwhile.
Forgetting is always safe. A template with claims in flight is left alone: those that
nobody settles end by themselves.
"""

from __future__ import annotations

from typing import NamedTuple

from app.coupons.keys import GATE_PATTERN, gate_keys, template_of
from app.lib.postgres import Pool
from app.lib.sql import load
from app.lib.valkey import Valkey

sql = load("coupons")


class CouponDrift(NamedTuple):
    """One number that differs. `what`: "given" or "holders"."""

    template_id: str
    what: str
    gate: int
    ledger: int


async def measure_coupon_drift(valkey: Valkey, pool: Pool) -> list[CouponDrift]:
    """Of all templates in the gate that are at rest. Raises GateDown when Valkey is not there."""
    template_ids = [template_of(key) for key in await valkey.scan(GATE_PATTERN)]
    held = {template_id: await _read(valkey, template_id) for template_id in template_ids}
    drifts = []
    for row in await pool.fetch(sql.read_gate_facts, template_ids):
        found = held[row["template_id"]]
        if found is not None:
            facts = (row["granted_count"], row["holders"])
            for what, gate, ledger in zip(("given", "holders"), found, facts, strict=True):
                if gate != ledger:
                    drifts.append(CouponDrift(row["template_id"], what, gate, ledger))
    return drifts


async def _read(valkey: Valkey, template_id: str) -> tuple[int, int] | None:
    """How many were given, how many buyers have any; None while it is not loaded or claims are in flight."""
    given, flight, buyers = gate_keys(template_id)
    granted, in_flight, loaded, fields = await valkey.commands(
        [("GET", given), ("ZCARD", flight), ("HEXISTS", buyers, ""), ("HLEN", buyers)]
    )
    return None if granted is None or in_flight or not loaded else (int(granted), fields - 1)


async def reconcile_coupons(valkey: Valkey, pool: Pool) -> list[CouponDrift]:
    """Forget what differs; returns it. Raises GateDown."""
    drifts = await measure_coupon_drift(valkey, pool)
    for template_id in {drift.template_id for drift in drifts}:
        given, _, buyers = gate_keys(template_id)
        await valkey.command("DEL", given, buyers)
    return drifts
