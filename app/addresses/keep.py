"""Save and list a buyer's addresses."""

from __future__ import annotations

from datetime import datetime

import msgspec

from app.addresses.check import check_blocklist, check_form, phone_digits
from app.addresses.schemas import ADDRESSES_PER_BUYER_MAX, AddressSnapshot, UpsertAddress
from app.lib.errors import Conflict, NotFound
from app.lib.ids import IdMaker, parse_id
from app.lib.page import Page
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("addresses")


async def upsert_address(
    pool: Pool, ids: IdMaker, buyer_id: str, address: UpsertAddress, now: datetime
) -> AddressSnapshot:
    """Raises AddressInvalid, AddressBlocked, NotFound (`address_not_found`), Conflict (`too_many_addresses`).

    A buyer's own address only: somebody else's is not found.
    """
    check_form(address)
    await check_blocklist(pool, buyer_id, address)
    content = (
        *(address.name, address.phone, address.country, address.region),
        *(address.city, address.street, address.postcode, phone_digits(address.phone), now),
    )
    if address.address_id is None:
        address_id = ids.next()
        kept = await pool.fetchval(
            sql.insert_address, address_id, buyer_id, *content, ADDRESSES_PER_BUYER_MAX
        )
        if kept is None:
            raise Conflict(f"at most {ADDRESSES_PER_BUYER_MAX} addresses", code="too_many_addresses")
    else:
        address_id = parse_id(address.address_id)
        if await pool.fetchval(sql.update_address, address_id, buyer_id, *content) is None:
            raise NotFound("there is no such address", code="address_not_found")
    return msgspec.convert(msgspec.structs.asdict(address) | {"address_id": str(address_id)}, AddressSnapshot)


async def list_addresses(pool: Pool, buyer_id: str, cursor: str, limit: int) -> Page[AddressSnapshot]:
    rows = await pool.fetch(sql.list_addresses, buyer_id, int(cursor or 0), limit + 1)
    return Page.cut([AddressSnapshot(**row) for row in rows], limit, lambda address: address.address_id)
