"""Where a cart goes, as rules by region see it.

A region is `CN-SH`, or `SG` for a country without parts; a rule may name it or its country, and the narrower
of the two counts.
"""

from __future__ import annotations

# the key under which a rule for every region is found
ANYWHERE = ""


def narrowest_first(region: str | None) -> tuple[str, ...]:
    """The keys to look under: the region, its country, anywhere. None: it is not known yet."""
    if region is None:
        return (ANYWHERE,)
    country = region[:2]
    return (region, ANYWHERE) if region == country else (region, country, ANYWHERE)
