"""What buyers can pay with, for pricing: of what a cart asks for, read from the ledger.

Reads that wait at the same moment share a query a kind. Nothing is cached: these carts are few, and an old
balance would only be refused when the order is placed; the ledger locks the balances then and decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from app.lib.batching import Batcher
from app.lib.clock import Clock
from app.lib.ids import parse_id
from app.lib.postgres import Pool
from app.lib.sql import load
from app.pricing.buyer import GiftCard, Purse, RedPacket
from app.pricing.rules import milliseconds
from app.pricing.schemas import CartRequest

points_sql = load("points")
cards_sql = load("gift_cards")
packets_sql = load("red_packets")

# 128 buyers make three queries of about a millisecond each; two lanes read while a batch is decoded.
BATCH_SIZE_MAX = 128
LANES_MAX = 2
BACKLOG_MAX = 8_192


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """What one cart asks for."""

    buyer_id: str
    points: bool
    codes: tuple[str, ...]
    packet_id: int


class Purses:
    """`of` reads, `stop` finishes what was asked."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._batcher: Batcher[Wanted, Purse] = Batcher(
            self._read_batch,
            name="purses",
            size_max=BATCH_SIZE_MAX,
            lanes_max=LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def of(self, buyer_id: str, cart: CartRequest) -> Purse:
        """Raises Unavailable when too many wait, and Postgres' errors."""
        packet_id = parse_id(cart.red_packet_id or "")
        wanted = Wanted(buyer_id, cart.points > 0, tuple(cart.gift_card_codes), packet_id)
        return await self._batcher.submit(wanted)

    async def stop(self) -> None:
        await self._batcher.stop()

    async def _read_batch(self, batch: list[Wanted]) -> Sequence[Purse]:
        points = await self._read_points([each.buyer_id for each in batch if each.points], self._clock.now())
        cards = await self._read_cards([code for each in batch for code in each.codes])
        packets = await self._read_packets([each.packet_id for each in batch if each.packet_id])
        return [
            Purse(
                points.get(each.buyer_id, 0) if each.points else 0,
                {code: cards[code] for code in each.codes if code in cards},
                packets.get((each.packet_id, each.buyer_id)),
            )
            for each in batch
        ]

    async def _read_points(self, buyer_ids: list[str], now: datetime) -> dict[str, int]:
        if not buyer_ids:
            return {}
        rows = await self._pool.fetch(points_sql.usable_points, buyer_ids, now)
        return {row["buyer_id"]: row["points"] for row in rows}

    async def _read_cards(self, codes: list[str]) -> dict[str, GiftCard]:
        if not codes:
            return {}
        return {
            row["code"]: GiftCard(
                str(row["card_id"]),
                row["currency"],
                row["balance_minor"],
                milliseconds(row["expires_at"]),
                row["pays_charges"],
            )
            for row in await self._pool.fetch(cards_sql.cards_of_codes, codes)
        }

    async def _read_packets(self, packet_ids: list[int]) -> dict[tuple[int, str], RedPacket]:
        """By id and buyer: somebody else's looks the same as none."""
        if not packet_ids:
            return {}
        return {
            (row["packet_id"], row["buyer_id"]): RedPacket(
                str(row["packet_id"]),
                row["name"],
                row["shop_id"],
                row["currency"],
                row["amount_minor"],
                row["min_amount_minor"],
                row["status"],
                milliseconds(row["expires_at"]),
                row["pays_charges"],
            )
            for row in await self._pool.fetch(packets_sql.packets_by_id, packet_ids)
        }
