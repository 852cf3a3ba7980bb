"""What the gift card calls take and answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import AMOUNT_MINOR_MAX, Currency
from app.lib.money import is_currency

# One transaction makes them all, and one answer names their codes: this many take about a tenth of a second.
CARDS_MAX = 1_000


class IssueGiftCards(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """`count` cards of this amount; `valid_days` None: they never end.

    `pays_charges`: they pay freight and tax too, and not goods alone.
    """

    amount_minor: Annotated[int, Meta(ge=1, le=AMOUNT_MINOR_MAX)]
    currency: Currency
    count: Annotated[int, Meta(ge=1, le=CARDS_MAX)] = 1
    valid_days: Annotated[int, Meta(ge=1, le=3_650)] | None = None
    pays_charges: bool = True

    def __post_init__(self) -> None:
        if not is_currency(self.currency):
            raise ValueError(f"{self.currency} is not a currency of ISO 4217")


class IssuedGiftCard(Struct, frozen=True):
    card_id: str
    code: str


class IssuedGiftCards(Struct, frozen=True):
    """Whoever has a code has the card's money."""

    cards: list[IssuedGiftCard]
    expires_at: datetime


class GiftCard(Struct, frozen=True):
    """A card as its holder sees it: `balance_minor` is left of the `amount_minor` that it was issued with."""

    card_id: str
    currency: str
    amount_minor: int
    balance_minor: int
    expires_at: datetime
    pays_charges: bool
