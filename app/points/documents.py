"""What points are earned for and what they are worth, as an operator sends it.

One document for the whole platform. A currency that it does not name earns nothing and takes no points.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.lib.bounds import TOTAL_MINOR_MAX, Currency
from app.lib.money import WHOLE_BP, is_currency

# A point is worth at most this much: ten thousand units of a two-decimal currency.
POINT_MINOR_MAX = 1_000_000
# Ten points for each minor unit paid: more is a typing mistake.
EARN_BP_MAX = 10 * WHOLE_BP
VALID_DAYS_MAX = 3_650


class PointsRate(Struct, frozen=True, forbid_unknown_fields=True):
    """`earn_bp` points for 10,000 minor units paid; a point pays `minor_per_point`, None: nothing."""

    earn_bp: Annotated[int, Meta(ge=0, le=EARN_BP_MAX)] = 0
    minor_per_point: Annotated[int, Meta(ge=1, le=POINT_MINOR_MAX)] | None = None


class PointsRules(Struct, frozen=True, forbid_unknown_fields=True):
    """`cap_bp` is how much of what is left to pay points may pay; `valid_days` None: points never expire."""

    currencies: Annotated[dict[Currency, PointsRate], Meta(max_length=32)] = {}
    cap_bp: Annotated[int, Meta(ge=1, le=WHOLE_BP)] = WHOLE_BP
    valid_days: Annotated[int, Meta(ge=1, le=VALID_DAYS_MAX)] | None = 365
    # whether they pay freight and tax too, up to the same part of it
    pays_charges: bool = False

    def __post_init__(self) -> None:
        for currency in self.currencies:
            if not is_currency(currency):
                raise ValueError(f"{currency} is not a currency of ISO 4217")

    def earned(self, currency: str, paid_minor: int) -> int:
        """Points for money paid; what is less than a point is not earned, nor more than an order may take."""
        rate = self.currencies.get(currency)
        return 0 if rate is None else min(paid_minor * rate.earn_bp // WHOLE_BP, TOTAL_MINOR_MAX)
