"""Where an order goes: the buyer's address as it is now, checked, looked up in batches."""

from __future__ import annotations

import asyncpg

from app.addresses.errors import AddressBlocked, AddressInvalid
from app.addresses.schemas import AddressSnapshot
from app.lib.batching import Batcher
from app.lib.errors import AppError, Unavailable
from app.lib.ids import parse_id
from app.lib.postgres import TRANSIENT_ERRORS, Pool
from app.lib.sql import load

sql = load("deliver_to")

# As for the look-up of keys: a few milliseconds a batch.
LOOKUP_SIZE_MAX = 512
LOOKUP_LANES_MAX = 1
BACKLOG_MAX = 8_192


class DeliverTo:
    """Looks addresses up for orders."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._batcher: Batcher[tuple[str, int], AddressSnapshot] = Batcher(
            self._load_many,
            name="deliver-to",
            size_max=LOOKUP_SIZE_MAX,
            lanes_max=LOOKUP_LANES_MAX,
            backlog_max=BACKLOG_MAX,
        )

    async def load(self, buyer_id: str, address_id: str | None) -> AddressSnapshot:
        """The address to keep on the order. Raises AddressInvalid, AddressBlocked, Unavailable."""
        if address_id is None:
            raise AddressInvalid("physical goods need an address_id", field="address_id")
        return await self._batcher.submit((buyer_id, parse_id(address_id)))

    async def _load_many(self, asked: list[tuple[str, int]]) -> list[AddressSnapshot | AppError]:
        try:
            rows = await self._pool.fetch(sql.read_addresses, [address_id for _, address_id in asked])
        except TRANSIENT_ERRORS:
            return [Unavailable("the ledger does not answer", code="ledger_down")] * len(asked)
        found = {(row[0], row[1]): _judge(row) for row in rows}
        return [found.get(each) or _unknown() for each in asked]


def _judge(row: asyncpg.Record) -> AddressSnapshot | AppError:
    _, address_id, *rest, blocked = row
    return AddressBlocked() if blocked else AddressSnapshot(str(address_id), *rest)


def _unknown() -> AddressInvalid:
    return AddressInvalid("the order needs one of the buyer's addresses", field="address_id")
