"""The buyer's addresses, and the operators' blocklist."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post, put
from litestar.params import JSONBody, PathParameter

from app.addresses.block import block, list_blocked, unblock
from app.addresses.errors import AddressBlocked, AddressInvalid
from app.addresses.keep import list_addresses, upsert_address
from app.addresses.schemas import (
    ADDRESSES_PER_BUYER_MAX,
    AddressSnapshot,
    Block,
    Blocked,
    BlockKind,
    UpsertAddress,
)
from app.dependencies import Buyer, Operator, ServicesDependency
from app.lib.errors import Conflict, NotFound
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Cursor, Limit, NumberCursor, PathId

Kind = Annotated[BlockKind, PathParameter()]


@get("/address-api/addresses/list")
async def show_addresses(
    services: ServicesDependency,
    buyer: Buyer,
    limit: Limit = ADDRESSES_PER_BUYER_MAX,
    cursor: NumberCursor = "",
) -> Page[AddressSnapshot]:
    return await list_addresses(services.pool, buyer.sub, cursor, limit)


@post("/address-api/addresses/list", status_code=200)
async def query_addresses(
    services: ServicesDependency,
    buyer: Buyer,
    limit: Limit = ADDRESSES_PER_BUYER_MAX,
    cursor: NumberCursor = "",
) -> Page[AddressSnapshot]:
    """The same as the GET, for clients that only post."""
    return await list_addresses(services.pool, buyer.sub, cursor, limit)


@post(
    "/address-api/upsert",
    status_code=200,
    problems=(
        AddressInvalid,
        AddressBlocked,
        (NotFound, "address_not_found"),
        (Conflict, "too_many_addresses"),
    ),
)
async def save_address(
    data: JSONBody[UpsertAddress], services: ServicesDependency, buyer: Buyer
) -> AddressSnapshot:
    saved = await upsert_address(services.pool, services.ids, buyer.sub, data, services.clock.now())
    services.regions.learn(buyer.sub, saved)
    return saved


@put("/admin/blocked_addresses/{kind:str}/{value:str}")
async def block_address(
    kind: Kind,
    value: PathId,
    data: JSONBody[Block],
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - asking for it refuses everybody else
) -> Blocked:
    """`kind` is phone, region (or a country's code) or buyer."""
    return await block(services.pool, kind, value, data)


@delete("/admin/blocked_addresses/{kind:str}/{value:str}")
async def unblock_address(
    kind: Kind,
    value: PathId,
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - as above
) -> None:
    await unblock(services.pool, kind, value)


@get("/admin/blocked_addresses/{kind:str}")
async def show_blocked(
    kind: Kind,
    services: ServicesDependency,
    op: Operator,  # noqa: ARG001 - as above
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[Blocked]:
    return await list_blocked(services.pool, kind, cursor, limit)


ROUTES = [show_addresses, query_addresses, save_address, block_address, unblock_address, show_blocked]
