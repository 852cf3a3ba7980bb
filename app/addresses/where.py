"""Where an address is, for rules by region: looked up in batches and remembered for a moment.

What is remembered may be old where another process has just changed the address: a price is shown with it,
and placing an order, which reads the address itself, prices anew where that has moved.
"""

from __future__ import annotations

import time

from app.addresses.schemas import AddressSnapshot
from app.lib.batching import Batcher
from app.lib.errors import Unavailable
from app.lib.ids import parse_id
from app.lib.postgres import TRANSIENT_ERRORS, Pool
from app.lib.sql import load

sql = load("addresses")

# A checkout screen asks with every tap, and is open for less than this.
KNOWN_FOR_S = 60.0
# Addresses remembered, about 200 bytes each; beyond this number it starts anew.
KNOWN_MAX = 50_000
# As for the look-up of keys: a few milliseconds a batch.
LOOKUP_SIZE_MAX = 512
LOOKUP_LANES_MAX = 1
BACKLOG_MAX = 8_192

Address = tuple[str, int]


class Regions:
    """The region of a buyer's address."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._known: dict[Address, tuple[str, float]] = {}
        self._batcher: Batcher[Address, str | None] = Batcher(
            self._find_many,
            name="regions",
            size_max=LOOKUP_SIZE_MAX,
            lanes_max=LOOKUP_LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def of(self, buyer_id: str, address_id: str) -> str | None:
        """`CN-SH`, or `SG` where a country has no parts; None: not one of the buyer's. Raises Unavailable."""
        address = (buyer_id, parse_id(address_id))
        region, until = self._known.get(address, ("", 0.0))
        if time.monotonic() < until:
            return region
        found = await self._batcher.submit(address)
        if found is not None:
            self._remember(address, found)
        return found

    def learn(self, buyer_id: str, address: AddressSnapshot) -> None:
        """This is the address now."""
        self._remember((buyer_id, int(address.address_id)), region_of(address))

    def forget(self, buyer_id: str, address_id: int) -> None:
        """It is no longer there, or that is to be looked up again."""
        self._known.pop((buyer_id, address_id), None)

    def _remember(self, address: Address, region: str) -> None:
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[address] = (region, time.monotonic() + KNOWN_FOR_S)

    async def _find_many(self, asked: list[Address]) -> list[str | Unavailable | None]:
        try:
            rows = await self._pool.fetch(sql.read_regions, [address_id for _, address_id in asked])
        except TRANSIENT_ERRORS:
            return [Unavailable("the ledger does not answer", code="ledger_down")] * len(asked)
        found = {(row["buyer_id"], row["address_id"]): row["region"] or row["country"] for row in rows}
        return [found.get(each) for each in asked]


def region_of(address: AddressSnapshot) -> str:
    return address.region or address.country
