"""Amounts from one currency into another: exact integers, rounded half up once.

Enters a dated rate as the operator wrote it ("0.1389": so much of the other currency for one of the base),
leaves a `Rate` that knows both currencies' decimals. No float comes near it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from app.lib.money import decimals_of


class Rate(Struct, frozen=True, gc=False):
    """One minor unit of `base` is `numerator / denominator` minor units of `currency`, from a time on."""

    base: str
    currency: str
    # as it was written
    rate: str
    valid_from: datetime
    valid_from_ms: int
    numerator: int
    denominator: int

    def convert(self, amount_minor: int) -> int:
        """An amount of the base in the other currency's own decimals, rounded half up."""
        return (2 * amount_minor * self.numerator + self.denominator) // (2 * self.denominator)


def make_rate(base: str, currency: str, rate: str, valid_from: datetime, valid_from_ms: int) -> Rate:
    whole, _, fraction = rate.partition(".")
    numerator = int(whole + fraction) * 10 ** decimals_of(currency)
    denominator = 10 ** (len(fraction) + decimals_of(base))
    return Rate(base, currency, rate, valid_from, valid_from_ms, numerator, denominator)


def rate_at(rates: Sequence[Rate], now_ms: int) -> Rate | None:
    """Of the rates of one pair, the newest first, the one that is valid now."""
    for rate in rates:
        if rate.valid_from_ms <= now_ms:
            return rate
    return None
