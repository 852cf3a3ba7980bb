"""Bounded types for what comes from outside: texts, amounts, quantities.

Every number and every text of a request has one of these, so that msgspec refuses what is out of bounds
before anything is done. The bounds multiply safely: 100 lines of 9,999 units at the largest price stay
below 2^63.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta

# Ten thousand million units of a two-decimal currency: a higher price is a typing mistake.
AMOUNT_MINOR_MAX = 10**12
# A cart's or an order's total: what 100 lines of 9,999 units can come to, and no more.
TOTAL_MINOR_MAX = 10**18
QUANTITY_MAX = 9_999
# A stock of a thousand million units of one SKU is a typing mistake, too.
ON_HAND_MAX = 10**9

# Ids that we make have 63 bits. Below 9 * 10^18 they fit a bigint, and no clock reaches that before 2093.
NUMBER = r"^[0-8]?[0-9]{1,18}$(?!\n)"

# No control characters; the look-ahead closes the gap that `$` leaves before a last newline.
PRINTABLE = r"^[^\x00-\x1f\x7f]*$(?!\n)"

Id = Annotated[str, Meta(min_length=1, max_length=64, pattern=PRINTABLE)]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=PRINTABLE)]
Number = Annotated[str, Meta(pattern=NUMBER)]
Currency = Annotated[str, Meta(min_length=3, max_length=3, pattern=r"^[A-Z]{3}$(?!\n)")]
# A country, or a part of one (ISO 3166-2).
Region = Annotated[str, Meta(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$(?!\n)")]
AmountMinor = Annotated[int, Meta(ge=0, le=AMOUNT_MINOR_MAX)]
Quantity = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]
# With its offset; `in_utc` is what may be kept of it.
Time = Annotated[datetime, Meta(tz=True)]


# asyncpg writes these two as -infinity and infinity, and reads them back without their zone.
UNENDING = (datetime.min, datetime.max)


def in_utc(time: datetime) -> datetime:
    """The same moment in UTC. Raises ValueError outside of the years 1 to 9999, and at their very ends."""
    with suppress(OverflowError):
        found = time.astimezone(UTC)
        if found.replace(tzinfo=None) not in UNENDING:
            return found
    raise ValueError("a time is out of bounds")
