"""The coupons' gate: who may try the ledger at all. The stock's gate (app/stock/gate.py), in small.

Claims that wait together share one script call a template. A template that the gate does not hold is loaded
from the ledger, its buyers whole: so a buyer who is not there has none, and is refused without asking the
ledger. The gate only answers sooner: the ledger refuses what the gate wrongly let through, and without Valkey
the ledger decides alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from operator import attrgetter

from msgspec import Struct

from app.coupons.admit import Numbers
from app.coupons.scripts import (
    CLAIM,
    DOWN,
    TELL,
    Asked,
    GateReply,
    Settled,
    Verdict,
    claim_call,
    claim_replies,
    tell_call,
)
from app.coupons.snapshot import Offer
from app.lib.gate import asking, loading, try_scripts
from app.lib.postgres import Pool
from app.lib.sql import load
from app.lib.valkey import Call, Valkey

sql = load("coupons")

# A template may be evicted from the gate between being loaded and being asked again; not for ever.
LOADS_MAX = 3
# Buyers read and told at a time: some 20 ms of Postgres, some 5 ms of Valkey.
BUYERS_AT_A_TIME = 5_000


class Claim(Struct, frozen=True, eq=False):
    """Somebody who asks for a coupon of an offer."""

    offer: Offer
    asked: Asked


class CouponGate:
    """Open it with the process, `stop` it with the process."""

    def __init__(self, valkey: Valkey, pool: Pool) -> None:
        self._valkey = valkey
        self._pool = pool
        self._asking = asking(
            valkey,
            CLAIM,
            name="coupon-gate",
            key_of=attrgetter("offer"),
            call_of=_claim_call,
            replies_of=lambda _, raw: claim_replies(raw),
            down=DOWN,
        )
        self._loading = loading(self._load_each, name="coupon-gate-load")

    async def ask(self, claim: Claim) -> GateReply:
        """CLAIMED, REPEAT, CLOSED, LIMIT, EXHAUSTED or DOWN.

        Raises Unavailable when too many wait, and Postgres' errors when it must be loaded.
        """
        reply = await self._asking.submit(claim)
        for _ in range(LOADS_MAX):
            if reply.verdict is not Verdict.LOAD:
                return reply
            await self._loading.submit(claim.offer.template_id)
            reply = await self._asking.submit(claim)
        return DOWN if reply.verdict is Verdict.LOAD else reply

    async def _load_each(self, template_ids: set[str]) -> None:
        for template_id in template_ids:
            await self._load(template_id)

    async def _load(self, template_id: str) -> None:
        # The count first: who is given one while the buyers are read is told by whoever gives it.
        granted_count = await self._pool.fetchval(sql.read_granted_count, template_id) or 0
        after, complete = "", False
        while not complete:
            rows = await self._pool.fetch(sql.read_holders, template_id, after, BUYERS_AT_A_TIME)
            complete = len(rows) < BUYERS_AT_A_TIME
            counts = [(row["buyer_id"], row["quantity"]) for row in rows]
            call = tell_call(template_id, granted_count, counts, complete=complete)
            if await try_scripts(self._valkey, TELL, [call]) == [None]:
                return
            after = counts[-1][0] if counts else ""

    async def tell(self, numbers: Numbers, settled: Mapping[str, Sequence[Settled]] | None = None) -> None:
        """After a commit: what the ledger now says, and by template the claims that it has decided.

        Never fails: what a gate that is down is not told is found by `app/coupons/reconcile.py`.
        """
        settled = settled or {}
        granted = {template_id: -1 for template_id in settled}
        for template_id, template in numbers.templates.items():
            if template.document.claimable:
                granted[template_id] = template.granted_count
        counts: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for (template_id, buyer_id), count in numbers.held.items():
            counts[template_id].append((buyer_id, count))
        calls: list[Call] = []
        for template_id, granted_count in granted.items():
            told = counts[template_id]
            for start in range(0, max(len(told), 1), BUYERS_AT_A_TIME):
                part = told[start : start + BUYERS_AT_A_TIME]
                landing = settled.get(template_id, ()) if start == 0 else ()
                calls.append(tell_call(template_id, granted_count, part, landing))
        await try_scripts(self._valkey, TELL, calls)

    async def stop(self) -> None:
        await self._asking.stop()
        await self._loading.stop()


def _claim_call(claims: Sequence[Claim]) -> Call:
    """All of one offer."""
    offer = claims[0].offer
    return claim_call(
        offer.template_id,
        offer.document.quantity_total,
        offer.document.per_buyer_max,
        [claim.asked for claim in claims],
        int(time.time() * 1000),
    )
