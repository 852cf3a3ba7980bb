"""Red packets: pools by `op` (or `merchant` for its own shop), funded by `op`; packets for buyers."""

from __future__ import annotations

from litestar import Response, get, post, put
from litestar.params import JSONBody

from app.dependencies import Buyer, Operator, ServicesDependency, Staff
from app.lib.answers import as_response
from app.lib.errors import IdempotencyKeyReused, NotFound
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import IdempotencyKey, Limit, NumberCursor, PathId
from app.red_packets.errors import PoolFixed, PoolNotFound, PoolTooLow
from app.red_packets.list_packets import list_packets
from app.red_packets.pools import fund, put_pool, read_pool
from app.red_packets.schemas import (
    FundPool,
    RedPacket,
    RedPacketPool,
    RedPacketPoolDocument,
    SendRedPackets,
    SentRedPackets,
)
from app.red_packets.send import send

# 10,000 buyers of up to 64 characters each.
SEND_BYTES_MAX = 1 << 20


@put("/admin/red_packet_pools/{pool_id:str}", problems=((NotFound, "shop_not_found"), PoolFixed))
async def replace_red_packet_pool(
    pool_id: PathId, data: JSONBody[RedPacketPoolDocument], services: ServicesDependency, staff: Staff
) -> RedPacketPool:
    return await put_pool(services.pool, staff, pool_id, data)


@get("/admin/red_packet_pools/{pool_id:str}", problems=(PoolNotFound,))
async def show_red_packet_pool(pool_id: PathId, services: ServicesDependency, staff: Staff) -> RedPacketPool:
    return await read_pool(services.pool, staff, pool_id)


@post(
    "/admin/red_packet_pools/{pool_id:str}/fund",
    status_code=200,
    problems=(PoolNotFound, IdempotencyKeyReused),
)
async def fund_red_packet_pool(
    pool_id: PathId,
    data: JSONBody[FundPool],
    services: ServicesDependency,
    op: Operator,
    idempotency_key: IdempotencyKey = None,
) -> Response[RedPacketPool]:
    """Puts money into the pool."""
    return as_response(await fund(services, op, pool_id, idempotency_key, data))


@post(
    "/admin/red_packet_pools/{pool_id:str}/send",
    status_code=200,
    request_max_body_size=SEND_BYTES_MAX,
    problems=(PoolNotFound, PoolTooLow, IdempotencyKeyReused),
)
async def send_red_packets(
    pool_id: PathId,
    data: JSONBody[SendRedPackets],
    services: ServicesDependency,
    staff: Staff,
    idempotency_key: IdempotencyKey = None,
) -> Response[SentRedPackets]:
    """A packet for each buyer named, from money in the pool, or for none of them."""
    return as_response(await send(services, staff, pool_id, idempotency_key, data))


@get("/red_packets")
async def show_red_packets(
    services: ServicesDependency, buyer: Buyer, limit: Limit = PAGE_LIMIT_DEFAULT, cursor: NumberCursor = ""
) -> Page[RedPacket]:
    return await list_packets(services.pool, buyer.sub, services.clock.now(), cursor, limit)


ROUTES = [
    replace_red_packet_pool,
    show_red_packet_pool,
    fund_red_packet_pool,
    send_red_packets,
    show_red_packets,
]
