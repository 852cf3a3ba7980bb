"""A buyer's coupons, for pricing: from Redis where they are cached, else from the ledger.

Reads that wait at the same moment share one MGET, and their misses one query. After a change is committed
`forget` puts an empty mark in the coupons' place: while it stands the ledger is read and nothing is cached,
so that a reader who saw the old state cannot put it back (`SET NX`). Redis empty or away: the ledger answers.
What is cached is never believed when an order is placed; the ledger locks the coupons and decides.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence

import msgspec

from app.coupons.keys import buyer_coupons_key
from app.lib.batching import Batcher
from app.lib.clock import Clock
from app.lib.postgres import Pool
from app.lib.sql import load
from app.lib.valkey import GateDown, Valkey
from app.pricing.buyer import BuyerCoupon
from app.pricing.rules import milliseconds

sql = load("coupons")

# A process that dies between a commit and `forget` leaves an old state for this long at most.
CACHE_TTL_S = 60
# Longer than any reader can take from its query to its SET: twice the statement timeout, and some.
MARK_TTL_S = 15
# A grant names up to 10,000 buyers; a pipeline of so many stays far below the socket's time-out.
MARKS_AT_A_TIME = 500
# A screen shows no more; the ones that can be used come first.
COUPONS_OF_BUYER_MAX = 200
# Fewer than wait in a rush: one batch is priced while Redis reads the next. Smaller ones are more calls.
BATCH_SIZE_MAX = 128
LANES_MAX = 2
BACKLOG_MAX = 8_192

Held = Mapping[str, BuyerCoupon]
_encode = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.msgpack.Decoder(BuyerCoupon).decode


class Asked(msgspec.Struct, frozen=True, gc=False):
    """Whose coupons; `only` these of them, or None for all: a cart names one or two of a full hand."""

    buyer_id: str
    only: Collection[str] | None


class HeldCoupons:
    """`of` reads, `forget` after a change, `stop` finishes what was asked."""

    def __init__(self, pool: Pool, valkey: Valkey, clock: Clock) -> None:
        self._pool = pool
        self._valkey = valkey
        self._clock = clock
        self._batcher: Batcher[Asked, Held] = Batcher(
            self._read_batch,
            name="coupons",
            size_max=BATCH_SIZE_MAX,
            lanes_max=LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    def of(self, buyer_id: str, only: Collection[str] | None = None) -> Awaitable[Held]:
        """By coupon id. Raises Unavailable when too many wait, and Postgres' errors."""
        return self._batcher.submit(Asked(buyer_id, only))

    async def forget(self, buyer_ids: Iterable[str]) -> None:
        """After the commit of a change to these buyers' coupons. Never fails: see CACHE_TTL_S."""
        keys = [buyer_coupons_key(buyer_id) for buyer_id in buyer_ids]
        try:
            for start in range(0, len(keys), MARKS_AT_A_TIME):
                marked = keys[start : start + MARKS_AT_A_TIME]
                await self._valkey.commands([("SET", key, b"", "EX", MARK_TTL_S) for key in marked])
        except GateDown:
            return

    async def stop(self) -> None:
        await self._batcher.stop()

    async def _read_batch(self, asked: list[Asked]) -> Sequence[Held]:
        buyer_ids = list({each.buyer_id for each in asked})
        try:
            raw = await self._valkey.command("MGET", *map(buyer_coupons_key, buyer_ids))
        except GateDown:
            raw = [b""] * len(buyer_ids)
        cached = {
            buyer_id: _unpack(packed) for buyer_id, packed in zip(buyer_ids, raw, strict=True) if packed
        }
        read = {}
        if len(cached) < len(buyer_ids):
            read = await self._read_ledger([each for each in buyer_ids if each not in cached])
            absent = [buyer_id for buyer_id, packed in zip(buyer_ids, raw, strict=True) if packed is None]
            await self._keep({each: read[each] for each in absent})
        return [
            _decoded(cached[each.buyer_id], each.only) if each.buyer_id in cached else read[each.buyer_id]
            for each in asked
        ]

    async def _read_ledger(self, buyer_ids: list[str]) -> dict[str, dict[str, BuyerCoupon]]:
        rows = await self._pool.fetch(
            sql.coupons_of_buyers, buyer_ids, self._clock.now(), COUPONS_OF_BUYER_MAX
        )
        held: dict[str, dict[str, BuyerCoupon]] = {buyer_id: {} for buyer_id in buyer_ids}
        for row in rows:
            coupon_id = str(row["coupon_id"])
            held[row["buyer_id"]][coupon_id] = BuyerCoupon(
                coupon_id,
                row["template_id"],
                # that its time is over is seen from its end, whether or not the sweep has been there
                "available" if row["status"] == "expired" else row["status"],
                milliseconds(row["valid_from"]),
                milliseconds(row["valid_to"]),
            )
        return held

    async def _keep(self, coupons_by_buyer: Mapping[str, Held]) -> None:
        if not coupons_by_buyer:
            return
        try:
            await self._valkey.commands(
                [
                    ("SET", buyer_coupons_key(buyer_id), _encode(coupons), "EX", CACHE_TTL_S, "NX")
                    for buyer_id, coupons in coupons_by_buyer.items()
                ]
            )
        except GateDown:
            return


def _decoded(packed: Mapping[str, msgspec.Raw], only: Collection[str] | None) -> Held:
    wanted = packed if only is None else only
    return {coupon_id: _decode(packed[coupon_id]) for coupon_id in wanted if coupon_id in packed}
