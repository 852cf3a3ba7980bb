"""Where orders go: the buyer's address as it is when the order is written, if something may be sent there.

An order's write copies it itself (`write_orders`). Only where that does not fit are the addresses of a batch
read beforehand, to find out which order cannot be sent; and by whoever writes orders of his own.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from app.addresses.errors import AddressBlocked, AddressInvalid
from app.addresses.schemas import AddressSnapshot
from app.checkout.errors import AddressMoved
from app.checkout.schemas import Checkout
from app.lib.batching import Batcher
from app.lib.errors import AppError, Unavailable
from app.lib.ids import parse_id
from app.lib.postgres import TRANSIENT_ERRORS, Connection, Pool
from app.lib.sql import load

sql = load("deliver_to")

# As for the look-up of keys: a few milliseconds a batch.
LOOKUP_SIZE_MAX = 512
LOOKUP_LANES_MAX = 1
BACKLOG_MAX = 8_192

# (buyer, address): the place, with the region that it is in
Found = dict[tuple[str, int], asyncpg.Record]


async def read_addresses(connection: Connection, checkouts: Sequence[Checkout]) -> dict[bytes, AppError]:
    """Put the addresses on the orders. Leaves, by the key's digest, why an order cannot be sent.

    AddressInvalid, AddressBlocked or AddressMoved.
    """
    sent = [(each, each.root.address_id) for each in checkouts if each.root.address_id is not None]
    if not sent:
        return {}
    found = await _read(connection, [address_id for _, address_id in sent])
    refused: dict[bytes, AppError] = {}
    for checkout, address_id in sent:
        address = _judge(found.get((checkout.buyer_id, address_id)), checkout.root.region)
        if isinstance(address, AppError):
            refused[checkout.once.digest] = address
            continue
        for order in (checkout.root, *checkout.children):
            order.address = address
    return refused


class DeliverTo:
    """Looks addresses up for orders that are written otherwise, in batches."""

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
        return await self._batcher.submit((buyer_id, required(address_id)))

    async def _load_many(self, asked: list[tuple[str, int]]) -> list[AddressSnapshot | AppError]:
        try:
            found = await _read(self._pool, [address_id for _, address_id in asked])
        except TRANSIENT_ERRORS:
            return [Unavailable("the ledger does not answer", code="ledger_down")] * len(asked)
        return [_judge(found.get(each)) for each in asked]


def required(address_id: str | None) -> int:
    """Raises AddressInvalid where a cart that is sent has none."""
    if address_id is None:
        raise AddressInvalid("physical goods need an address_id", field="address_id")
    return parse_id(address_id)


async def _read(ledger: Connection | Pool, address_ids: Sequence[int]) -> Found:
    rows = await ledger.fetch(sql.read_destinations, address_ids)
    return {(row["buyer_id"], row["address_id"]): row for row in rows}


def _judge(row: asyncpg.Record | None, region: str | None = None) -> AddressSnapshot | AppError:
    """`region`: where it must be, if that matters."""
    if row is None:
        return AddressInvalid("the order needs one of the buyer's addresses", field="address_id")
    if row["blocked"]:
        return AddressBlocked()
    if region not in (None, row["region"]):
        return AddressMoved()
    return AddressSnapshot(**row["snapshot"])
