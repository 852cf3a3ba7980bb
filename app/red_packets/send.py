"""Send red packets to buyers: from money in the pool, all of them or none, once a key."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from app.balances.accounts import packet_account, pool_account
from app.balances.book import Entry, Posting, book, lock_balances
from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection
from app.lib.sql import load
from app.red_packets.errors import PoolTooLow
from app.red_packets.pools import lock_pool
from app.red_packets.schemas import SendRedPackets, SentRedPacket, SentRedPackets

sql = load("red_packets")


async def send(
    services: Services, caller: Caller, pool_id: str, key: str | None, wanted: SendRedPackets
) -> Answer:
    """Raises PoolNotFound, Forbidden, PoolTooLow."""
    once = identify("red_packet_pools/send", caller.sub, key, (pool_id, wanted))

    async def effect(connection: Connection) -> Answer:
        now = services.clock.now()
        pool = await lock_pool(connection, caller, pool_id)
        total_minor = wanted.amount_minor * len(wanted.user_ids)
        if total_minor > pool.balance_minor:
            missing_minor = total_minor - pool.balance_minor
            raise PoolTooLow(balance_minor=pool.balance_minor, missing_minor=missing_minor)
        packets = {services.ids.next(): user_id for user_id in wanted.user_ids}
        expires_at = now + timedelta(days=wanted.valid_days)
        await connection.execute(
            sql.add_packets,
            list(packets),
            list(packets.values()),
            pool_id,
            wanted.amount_minor,
            wanted.min_amount_minor,
            expires_at,
            now,
            pool.pays_charges,
        )
        accounts = [packet_account(packet_id) for packet_id in packets]
        # New accounts, which nobody waits for: after the pool's in the order of locks or not, no circle.
        await lock_balances(connection, [(each, pool.currency) for each in accounts], opening=True)
        entries = [Entry(each, pool.currency, wanted.amount_minor) for each in accounts]
        entries.append(Entry(pool_account(pool_id), pool.currency, -total_minor))
        await book(connection, [Posting("red_packets_sent", services.ids.next(), entries)], now)
        sent = [SentRedPacket(user_id, str(packet_id)) for packet_id, user_id in packets.items()]
        left_minor = pool.balance_minor - total_minor
        return Answer(200, msgspec.json.encode(SentRedPackets(sent, expires_at, left_minor)))

    return await run_once(services.pool, once, effect)
