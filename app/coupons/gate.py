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

import structlog
from msgspec import Struct
from redis.exceptions import ResponseError

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
from app.lib import metrics
from app.lib.batching import Batcher
from app.lib.postgres import Pool
from app.lib.sql import load
from app.lib.valkey import Call, GateDown, Valkey

log = structlog.get_logger()
sql = load("coupons")

# As the stock's gate: one call with so many takes Valkey about a millisecond, far below its time limit.
PIPELINE_SIZE_MAX = 256
PIPELINE_LANES_MAX = 1
BACKLOG_MAX = 8_192
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
        self._batcher: Batcher[Claim, GateReply] = Batcher(
            self._ask_many,
            name="coupon-gate",
            size_max=PIPELINE_SIZE_MAX,
            lanes_max=PIPELINE_LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )
        # One lane: after a flush thousands miss the same template, and share one load.
        self._loader: Batcher[str, None] = Batcher(
            self._load_many,
            name="coupon-gate-load",
            size_max=PIPELINE_SIZE_MAX,
            lanes_max=1,
            backlog_max=BACKLOG_MAX,
        )

    async def ask(self, claim: Claim) -> GateReply:
        """CLAIMED, REPEAT, CLOSED, LIMIT, EXHAUSTED or DOWN.

        Raises Unavailable when too many wait, and Postgres' errors when it must be loaded.
        """
        reply = await self._batcher.submit(claim)
        for _ in range(LOADS_MAX):
            if reply.verdict is not Verdict.LOAD:
                return reply
            await self._loader.submit(claim.offer.template_id)
            reply = await self._batcher.submit(claim)
        return DOWN if reply.verdict is Verdict.LOAD else reply

    async def _ask_many(self, claims: list[Claim]) -> list[GateReply]:
        by_offer: dict[Offer, list[int]] = defaultdict(list)
        for number, claim in enumerate(claims):
            by_offer[claim.offer].append(number)
        now_ms = int(time.time() * 1000)
        calls = [
            claim_call(
                offer.template_id,
                offer.document.quantity_total,
                offer.document.per_buyer_max,
                [claims[number].asked for number in numbers],
                now_ms,
            )
            for offer, numbers in by_offer.items()
        ]
        replies = [DOWN] * len(claims)
        try:
            raw = await self._valkey.run_scripts(CLAIM, calls)
        except GateDown:
            metrics.GATE_FAILURES.inc()
            return replies
        for numbers, answer in zip(by_offer.values(), raw, strict=True):
            if isinstance(answer, ResponseError):  # still loading its data, a broken key: the ledger decides
                _failed(answer)
                continue
            for number, reply in zip(numbers, claim_replies(answer), strict=True):
                replies[number] = reply
        return replies

    async def _load_many(self, template_ids: list[str]) -> list[None]:
        for template_id in dict.fromkeys(template_ids):
            await self._load(template_id)
        return [None] * len(template_ids)

    async def _load(self, template_id: str) -> None:
        # The count first: who is given one while the buyers are read is told by whoever gives it.
        granted_count = await self._pool.fetchval(sql.read_granted_count, template_id) or 0
        after, complete = "", False
        while not complete:
            rows = await self._pool.fetch(sql.read_holders, template_id, after, BUYERS_AT_A_TIME)
            complete = len(rows) < BUYERS_AT_A_TIME
            counts = [(row["buyer_id"], row["quantity"]) for row in rows]
            if not await self._try([tell_call(template_id, granted_count, counts, complete=complete)]):
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
        await self._try(calls)

    async def _try(self, calls: Sequence[Call]) -> bool:
        """Whether Valkey has taken them all."""
        try:
            replies = await self._valkey.run_scripts(TELL, calls)
        except GateDown:
            metrics.GATE_FAILURES.inc()
            return False
        errors = [reply for reply in replies if isinstance(reply, BaseException)]
        for error in errors:
            _failed(error)
        return not errors

    async def stop(self) -> None:
        await self._batcher.stop()
        await self._loader.stop()


def _failed(error: BaseException) -> None:
    metrics.GATE_FAILURES.inc()
    log.warning("coupon_gate_script_failed", error=str(error))
