"""What is left on a gift card, for whoever has its code."""

from __future__ import annotations

from app.gift_cards.errors import GiftCardNotFound
from app.gift_cards.schemas import GiftCard
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("gift_cards")


async def read_card(pool: Pool, code: str) -> GiftCard:
    """Raises GiftCardNotFound."""
    row = await pool.fetchrow(sql.read_card, code)
    if row is None:
        raise GiftCardNotFound()
    return GiftCard(**{**row, "card_id": str(row["card_id"])})
