"""Through the gate: one call a shop, all of an order or nothing of it.

What it has reserved is noted in `checkout.held`; a later shop's refusal gives the earlier ones back. A pool
that was just sold out is remembered for a moment in the process, so that a rush is not even asked about.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from app.checkout.errors import OutOfStock, PurchaseLimitExceeded
from app.checkout.schemas import Checkout
from app.pricing.priced import PricedLine
from app.stock.gate import Gate
from app.stock.scripts import GateReply, Verdict

# A released unit is offered again after at most this long; a tenth of a second is below what a buyer sees
# and spares the gate all but ten of the calls that a rush makes for one SKU in a second.
SOLD_OUT_FOR_S = 0.1
# Pools remembered; sold-out pools beyond this number are asked about again.
SOLD_OUT_MAX = 10_000


class SoldOut:
    """Which quantity of a pool was refused a moment ago."""

    def __init__(self) -> None:
        self._refused: dict[int, tuple[int, float]] = {}

    def remember(self, pool_id: int, quantity: int) -> None:
        if len(self._refused) >= SOLD_OUT_MAX:
            self._refused.clear()
        self._refused[pool_id] = (quantity, time.monotonic() + SOLD_OUT_FOR_S)

    def forget(self, pool_id: int) -> None:
        """More has come in."""
        self._refused.pop(pool_id, None)

    def check(self, lines: Sequence[PricedLine]) -> None:
        """Raises OutOfStock for what was gone a moment ago."""
        refused = self._refused
        short = [
            line.sku.sku_id
            for line in lines
            if line.pool_id in refused and self._is_known(line.pool_id, line.summary.quantity)
        ]
        if short:
            raise OutOfStock(sku_ids=short)

    def _is_known(self, pool_id: int, quantity: int) -> bool:
        least, until = self._refused[pool_id]
        return quantity >= least and time.monotonic() < until


async def pass_gate(gate: Gate, sold_out: SoldOut, checkout: Checkout) -> None:
    """Reserve every shop's part, or hold nothing.

    Raises OutOfStock, PurchaseLimitExceeded, Unavailable.
    """
    try:
        for reservation in checkout.reservations:
            reply = await gate.reserve(reservation)
            if reply.verdict is Verdict.RESERVED:
                checkout.held.append(reservation)
            elif reply.verdict in (Verdict.SOLD_OUT, Verdict.GONE, Verdict.LIMIT):
                raise refusal(sold_out, reply)
            # REPEAT: the same key is in flight already. DOWN: the ledger decides alone.
    except BaseException:
        await give_back(gate, checkout)
        raise


def refusal(sold_out: SoldOut, reply: GateReply) -> OutOfStock | PurchaseLimitExceeded:
    if reply.verdict is Verdict.LIMIT:
        return PurchaseLimitExceeded(
            sku_ids=[want.sku_id for want in reply.wants],
            per_buyer_max=min(want.buyer_max for want in reply.wants),
        )
    if reply.verdict is Verdict.GONE:  # else a key in flight may ask again, and is to get its order
        for want in reply.wants:
            sold_out.remember(want.pool_id, want.quantity)
    return OutOfStock(sku_ids=[want.sku_id for want in reply.wants])


async def give_back(gate: Gate, checkout: Checkout) -> None:
    """Undo what this checkout holds in the gate."""
    if checkout.held:
        await gate.settle({part.shop_id: [(part.reservation_id, False)] for part in checkout.held})
        checkout.held.clear()
