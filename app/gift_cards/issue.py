"""An operator issues gift cards, once a key: each a code and a balance."""

from __future__ import annotations

from base64 import b32encode
from datetime import UTC, datetime, timedelta
from secrets import token_bytes

import msgspec

from app.balances.accounts import card_account, issued
from app.balances.book import Posting, book, lock_balances, transfer
from app.bootstrap import Services
from app.gift_cards.schemas import IssuedGiftCard, IssuedGiftCards, IssueGiftCards
from app.lib.auth import Caller
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("gift_cards")

# 80 bits, 16 characters: nobody guesses one, and two never meet.
CODE_BYTES = 10
# When a card ends that has no end.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)


async def issue(services: Services, caller: Caller, key: str | None, wanted: IssueGiftCards) -> Answer:
    """Raises what a wrong Idempotency-Key does. A repeat is told the same codes."""
    once = identify("gift_cards/issue", caller.sub, key, wanted)

    async def effect(connection: Connection) -> Answer:
        now = services.clock.now()
        expires_at = NEVER if wanted.valid_days is None else now + timedelta(days=wanted.valid_days)
        codes = {services.ids.next(): _new_code() for _ in range(wanted.count)}
        await connection.execute(
            sql.add_cards,
            list(codes),
            list(codes.values()),
            wanted.currency,
            wanted.amount_minor,
            expires_at,
            now,
            wanted.pays_charges,
        )
        await _fill(connection, list(codes), wanted, now)
        cards = [IssuedGiftCard(str(card_id), code) for card_id, code in codes.items()]
        return Answer(200, msgspec.json.encode(IssuedGiftCards(cards, expires_at)))

    return await run_once(services.pool, once, effect)


def _new_code() -> str:
    return b32encode(token_bytes(CODE_BYTES)).decode()


async def _fill(connection: Connection, card_ids: list[int], wanted: IssueGiftCards, now: datetime) -> None:
    currency = wanted.currency
    await lock_balances(connection, [(card_account(each), currency) for each in card_ids], opening=True)
    postings = [
        Posting(
            "gift_card_issued",
            card_id,
            transfer(currency, wanted.amount_minor, issued("gift_card"), card_account(card_id)),
        )
        for card_id in card_ids
    ]
    await book(connection, postings, now)
