"""The pools that red packets are sent from: made, funded, read.

An operator has all of them, a merchant those of its own shop; only an operator puts money in.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.balances.accounts import issued, pool_account
from app.balances.book import Posting, book, lock_balances, transfer
from app.bootstrap import Services
from app.catalog.read import read_shop
from app.lib.auth import Caller
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection, Pool, transaction
from app.lib.sql import load
from app.red_packets.errors import PoolFixed, PoolNotFound
from app.red_packets.schemas import FundPool, RedPacketPool, RedPacketPoolDocument

sql = load("red_packets")


async def put_pool(
    pool: Pool, caller: Caller, pool_id: str, document: RedPacketPoolDocument
) -> RedPacketPool:
    """Raises Forbidden, NotFound (`shop_not_found`), PoolFixed."""
    caller.require_shop(document.shop_id or "")
    async with transaction(pool) as connection:
        if document.shop_id is not None:
            await read_shop(connection, document.shop_id)
        await connection.execute(
            sql.upsert_pool,
            pool_id,
            document.shop_id,
            document.name,
            document.currency,
            document.pays_charges,
        )
        stored = await read_pool(connection, caller, pool_id)
        if (stored.shop_id, stored.currency) != (document.shop_id, document.currency):
            raise PoolFixed(shop_id=stored.shop_id, currency=stored.currency)
    return stored


async def read_pool(connection: Pool | Connection, caller: Caller, pool_id: str) -> RedPacketPool:
    """Raises PoolNotFound and Forbidden."""
    row = await connection.fetchrow(sql.read_pool, pool_id)
    return _pool(row, caller)


async def lock_pool(connection: Connection, caller: Caller, pool_id: str) -> RedPacketPool:
    """The pool with its balance, which nobody else changes until the commit. Raises as `read_pool`."""
    pool = await read_pool(connection, caller, pool_id)
    account = (pool_account(pool_id), pool.currency)
    balances = await lock_balances(connection, [account], opening=True)
    return msgspec.structs.replace(pool, balance_minor=balances[account])


async def fund(services: Services, caller: Caller, pool_id: str, key: str | None, wanted: FundPool) -> Answer:
    """Put money in, once a key. Raises PoolNotFound."""
    once = identify("red_packet_pools/fund", caller.sub, key, (pool_id, wanted))

    async def effect(connection: Connection) -> Answer:
        pool = await lock_pool(connection, caller, pool_id)
        entries = transfer(pool.currency, wanted.amount_minor, issued("red_packet"), pool_account(pool_id))
        posting = Posting("red_packet_pool_funded", services.ids.next(), entries)
        await book(connection, [posting], services.clock.now())
        funded = msgspec.structs.replace(pool, balance_minor=pool.balance_minor + wanted.amount_minor)
        return Answer(200, msgspec.json.encode(funded))

    return await run_once(services.pool, once, effect)


def _pool(row: Any, caller: Caller) -> RedPacketPool:
    if row is None:
        raise PoolNotFound()
    caller.require_shop(row["shop_id"] or "")
    return RedPacketPool(**row)
