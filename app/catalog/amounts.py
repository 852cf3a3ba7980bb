"""Reads the numbers of a file as text, digit by digit: no float comes near money.

A number that cannot be taken exactly raises ValueError with a reason that a person understands.
"""

import re
from decimal import ROUND_HALF_UP, Decimal

# Twelve digits before the point are more than any price; they keep the text away from `int` bombs.
_DECIMAL = re.compile(r"([0-9]{1,12})(?:\.([0-9]{0,12}))?", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]{1,12}", re.ASCII)


def amount_minor(text: str, decimals: int) -> int:
    """`"12.5"` with two decimals is 1250. Decimals that the currency does not have must be zeros."""
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is not an amount like 12.50")
    whole, fraction = match[1], match[2] or ""
    if fraction[decimals:].strip("0"):
        raise ValueError(f"{text[:40]!r} has more than {decimals} decimals")
    return int(whole + fraction[:decimals].ljust(decimals, "0"))


def grams(text: str) -> int:
    """Whole grams, half up."""
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is not a weight in grams")
    return int(Decimal(text).to_integral_value(ROUND_HALF_UP))


def units(text: str) -> int:
    """Units in stock. Shopify counts below zero when it sold more than there was: nothing is left."""
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(f"{text[:40]!r} is not a whole number of units")
    return max(0, int(text))
