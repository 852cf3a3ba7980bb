"""Quotes are kept in Redis for their life, written behind the answer (docs/adr/0013-quotes.md).

Pricing hands a quote over and goes on; what was handed over within a moment goes out in one write. Nothing
waits for it and nothing is lost but convenience when Redis is away, full or emptied, or when more is priced
than is worth keeping: such a quote counts as lost, and its cart is priced anew.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

import msgspec
from redis.exceptions import ResponseError

from app.lib import metrics
from app.lib.valkey import GateDown, Valkey
from app.pricing.keys import quote_key
from app.pricing.priced import Priced
from app.pricing.quote import Quote
from app.pricing.schemas import CartRequest

# A buyer needs a second from the price to the order; at 5,000 prices a second a write holds a hundred quotes.
WRITE_AFTER_S = 0.02
# Some 100 KB: what Redis takes in about a millisecond, so that no order waits behind it.
WRITE_SIZE_MAX = 512
# Half a second of the most that a process prices.
WAITING_MAX = 4_096
# An expired quote can still say what has changed; who comes later sees the new price alone.
EXPLAINED_FOR_S = 120
# Of one process, in Redis at a time. A quote of two lines takes some 400 bytes there: 200 MB at most, which
# the gate's server must have to spare, since it evicts nothing. More than 1,000 prices a second, for as
# long as quotes live, leave some quotes out.
KEPT_MAX = 500_000

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Quote).decode


class KeptQuotes:
    """`keep` never waits and never fails; `find` asks Redis; `stop` writes what is waiting."""

    def __init__(self, valkey: Valkey, ttl_s: int) -> None:
        self._valkey = valkey
        self._kept_for_s = ttl_s + EXPLAINED_FOR_S
        self._waiting: dict[str, bytes] = {}
        self._writing: dict[str, bytes] = {}
        self._writer: asyncio.Task[None] | None = None
        # what is in Redis: until when, and how many
        self._kept: deque[tuple[float, int]] = deque()
        self._kept_count = 0

    def keep(self, buyer_id: str | None, cart: CartRequest, priced: Priced) -> None:
        """Whoever presents the quote's id with the same cart gets its price; `buyer_id` None: anybody."""
        if len(self._waiting) >= WAITING_MAX:
            metrics.QUOTES.count("not_kept")
            return
        self._waiting[priced.summary.quote_id] = _encode(Quote.of(buyer_id, cart, priced))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_behind(), name="quotes")

    async def find(self, quote_id: str) -> Quote | None:
        """None: lost, or never made. It may have expired: see `expires_at`."""
        raw = self._waiting.get(quote_id) or self._writing.get(quote_id)
        try:
            raw = raw or await self._valkey.command("GET", quote_key(quote_id))
            return None if raw is None else _decode(raw)
        except (GateDown, ResponseError, msgspec.DecodeError):
            return None

    async def _write_behind(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(WRITE_AFTER_S)
                self._writing, self._waiting = self._waiting, {}
                quotes = list(self._writing.items())
                for start in range(0, len(quotes), WRITE_SIZE_MAX):
                    await self._write(quotes[start : start + WRITE_SIZE_MAX])
        finally:
            self._writing = {}
            self._writer = None

    async def _write(self, quotes: list[tuple[str, bytes]]) -> None:
        now = time.monotonic()
        while self._kept and self._kept[0][0] <= now:
            self._kept_count -= self._kept.popleft()[1]
        outcome = "not_kept"
        if self._kept_count + len(quotes) <= KEPT_MAX:
            try:
                await self._valkey.tell(
                    [("SET", quote_key(quote_id), raw, "EX", self._kept_for_s) for quote_id, raw in quotes]
                )
                self._kept.append((now + self._kept_for_s, len(quotes)))
                self._kept_count += len(quotes)
                outcome = "kept"
            except (GateDown, ResponseError):
                outcome = "not_kept"
        metrics.QUOTES.count(outcome, len(quotes))

    async def stop(self) -> None:
        if self._writer is not None:
            await self._writer
