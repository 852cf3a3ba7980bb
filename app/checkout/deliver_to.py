"""Where an order goes: the buyer's address as it is now, checked, looked up in batches."""

from __future__ import annotations

import asyncpg

from app.addresses.check import phone_digits
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
            found = {(row["buyer_id"], row["address_id"]): _snapshot(row) for row in rows}
            blocked = await self._read_blocks(found)
        except TRANSIENT_ERRORS:
            return [Unavailable("the ledger does not answer", code="ledger_down")] * len(asked)
        return [
            _judge(buyer_id, found.get((buyer_id, address_id)), blocked) for buyer_id, address_id in asked
        ]

    async def _read_blocks(self, found: dict[tuple[str, int], AddressSnapshot]) -> set[Block]:
        blocks = {block for (buyer_id, _), each in found.items() for block in _blocks_of(buyer_id, each)}
        if not blocks:
            return set()
        rows = await self._pool.fetch(sql.read_blocks, *map(list, zip(*blocks, strict=True)))
        return {(row["kind"], row["value"]) for row in rows}


# (kind, value) of the blocklist
Block = tuple[str, str]


def _snapshot(row: asyncpg.Record) -> AddressSnapshot:
    _, address_id, *rest = row
    return AddressSnapshot(str(address_id), *rest)


def _blocks_of(buyer_id: str, address: AddressSnapshot) -> tuple[Block, ...]:
    """The entries that would block this buyer or this address."""
    return (
        ("buyer", buyer_id),
        ("phone", phone_digits(address.phone)),
        ("region", address.region),
        ("region", address.country),
    )


def _judge(buyer_id: str, address: AddressSnapshot | None, blocked: set[Block]) -> AddressSnapshot | AppError:
    if address is None:
        return AddressInvalid("the order needs one of the buyer's addresses", field="address_id")
    if blocked and not blocked.isdisjoint(_blocks_of(buyer_id, address)):
        return AddressBlocked()
    return address
