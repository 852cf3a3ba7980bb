"""Money: integers in a currency's minor unit, never floats.

`split_pro_rata` divides a total so that the parts sum exactly and each is within one minor unit of its exact
share; `percent_half_up` takes basis points of an amount, rounded once. Currencies and their decimals are
those of ISO 4217.
"""

from __future__ import annotations

from collections.abc import Sequence

_CODES_BY_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: """AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
          CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
          GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA
          MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR
          RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD
          TZS UAH USD USN UYU UZS VED VES WST XCD YER ZAR ZMW ZWG""",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
DECIMALS = {code: decimals for decimals, codes in _CODES_BY_DECIMALS.items() for code in codes.split()}

# A percentage is given in basis points: 10,000 are the whole.
WHOLE_BP = 10_000


def is_currency(code: str) -> bool:
    return code in DECIMALS


def decimals_of(currency: str) -> int:
    """How many decimals its major unit has: 2 for CNY, 0 for JPY, 3 for KWD. KeyError when unknown."""
    return DECIMALS[currency]


def in_major(amount_minor: int, currency: str) -> str:
    """As people read it: `1,080.00 CNY`, `1,080 JPY`."""
    decimals = DECIMALS[currency]
    whole, part = divmod(amount_minor, 10**decimals)
    return f"{whole:,}.{part:0{decimals}} {currency}" if decimals else f"{whole:,} {currency}"


def percent_half_up(amount_minor: int, percent_bp: int, scale: int = 1) -> int:
    """`percent_bp` of `amount_minor / scale`, rounded half up, once."""
    whole = WHOLE_BP * scale
    return (2 * amount_minor * percent_bp + whole) // (2 * whole)


def split_pro_rata(total_minor: int, weights: Sequence[int]) -> list[int]:
    """Divide a total over weights by the largest remainder; ties go to the earlier.

    The parts sum exactly, and where the total is no more than the weights' sum no part is above its weight:
    so weights that are what is left of each line take no line below zero. All weights zero: all parts zero.
    """
    if len(weights) == 1:
        return [total_minor if weights[0] else 0]
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    if len(weights) == 2:  # the larger of two remainders is the half that rounds up: most carts are here
        first = (2 * total_minor * weights[0] + whole) // (2 * whole)
        return [first, total_minor - first]
    parts = [total_minor * weight // whole for weight in weights]
    missing = total_minor - sum(parts)
    if missing:
        remainders = [total_minor * weight % whole for weight in weights]
        # a stable sort, so equal remainders stay in order
        for index in sorted(range(len(parts)), key=remainders.__getitem__, reverse=True)[:missing]:
            parts[index] += 1
    return parts
