"""Through the gate: one call a shop, all of an order or nothing of it.

What it has reserved is noted in `checkout.held`; a later shop's refusal gives the earlier ones back. A pool
that was just sold out is remembered for a moment in the process, so that a rush is not even asked about.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from app.catalog.snapshot import Sku
from app.checkout.errors import OutOfStock, PurchaseLimitExceeded
from app.checkout.schemas import Checkout
from app.flash_sales.snapshot import FlashItem
from app.pricing.book import PriceBook
from app.pricing.schemas import CartRequest
from app.stock.gate import Gate
from app.stock.scripts import GateReply, Verdict

# A released unit is offered again after at most this long; a tenth of a second is below what a buyer sees
# and spares the gate all but ten of the calls that a rush makes for one SKU in a second.
SOLD_OUT_FOR_S = 0.1
# Pools remembered; sold-out pools beyond this number are asked about again.
SOLD_OUT_MAX = 10_000


class SoldOut:
    """Which quantity of a pool was refused a moment ago, while nothing of it was in flight.

    Whatever comes back meanwhile, here or elsewhere, is offered once the moment is over. Until then who was
    given it by another process, and asks here before that order is committed, is told that it is gone: the
    retry after that finds the order (docs/adr/0005-idempotency.md).
    """

    def __init__(self, for_s: float = SOLD_OUT_FOR_S) -> None:
        self._for_s = for_s
        self._refused: dict[int, tuple[int, float]] = {}

    def remember(self, pool_id: int, quantity: int) -> None:
        if len(self._refused) >= SOLD_OUT_MAX:
            self._refused.clear()
        self._refused[pool_id] = (quantity, time.monotonic() + self._for_s)

    def check(self, cart: CartRequest, book: PriceBook) -> None:
        """Raises OutOfStock for what was gone a moment ago: no need to price it."""
        if not self._refused:
            return
        sold: Mapping[str, Sku | FlashItem] = book.skus
        if cart.activity_id is not None:
            sale = book.flash_sales.get(cart.activity_id)
            sold = {} if sale is None else sale.items
        quantities: dict[str, int] = {}
        for line in cart.lines:
            quantities[line.sku_id] = quantities.get(line.sku_id, 0) + line.quantity
        short = [
            sku_id
            for sku_id, quantity in quantities.items()
            if sku_id in sold and self._is_gone(sold[sku_id].pool_id, quantity)
        ]
        if short:
            raise OutOfStock(sku_ids=short)

    def _is_gone(self, pool_id: int, quantity: int) -> bool:
        refused = self._refused.get(pool_id)
        return refused is not None and quantity >= refused[0] and time.monotonic() < refused[1]


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
