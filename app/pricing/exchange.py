"""Amounts from one currency into another: exact integers, rounded half up once.

Enters a dated rate as the operator wrote it ("0.1389": so much of the other currency for one of the base),
leaves a `Rate` that knows both currencies' decimals. No float comes near it. Only a rate that was given is
used: none is turned around, none is put together from two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from app.charges.documents import FxRateDocument, FxRatesDocument
from app.lib.money import decimals_of
from app.pricing.rules import milliseconds


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
        """An amount of the base in the other currency's own decimals, rounded half up.

        What costs anything costs at least one minor unit: rounding gives nothing away.
        """
        converted = (2 * amount_minor * self.numerator + self.denominator) // (2 * self.denominator)
        return converted or min(amount_minor, 1)


def fx_rates(document: FxRatesDocument) -> tuple[str, list[Rate]]:
    """The base and its rates."""
    return document.base, [_rate(document.base, each) for each in document.rates]


def _rate(base: str, document: FxRateDocument) -> Rate:
    whole, _, fraction = document.rate.partition(".")
    numerator = int(whole + fraction) * 10 ** decimals_of(document.currency)
    denominator = 10 ** (len(fraction) + decimals_of(base))
    valid_from = document.valid_from
    return Rate(
        base,
        document.currency,
        document.rate,
        valid_from,
        milliseconds(valid_from),
        numerator,
        denominator,
    )


def rate_at(rates: Sequence[Rate], now_ms: int) -> Rate | None:
    """Of the rates of one pair, the newest first, the one that is valid now."""
    for rate in rates:
        if rate.valid_from_ms <= now_ms:
            return rate
    return None
