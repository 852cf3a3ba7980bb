"""Red packets whose time is over give their money back to their pool: a sweep, in any number of workers."""

from __future__ import annotations

from datetime import datetime

from app.balances.accounts import packet_account, pool_account
from app.balances.book import Posting, book, lock_balances, transfer
from app.bootstrap import Services
from app.lib.postgres import transaction
from app.lib.sql import load
from app.red_packets.state import RedPacketStatus, sources

sql = load("red_packets")


async def expire_red_packets(services: Services, now: datetime, limit: int) -> int:
    """Sweep: how many packets were looked at. One that an order took meanwhile is left alone."""
    due = await services.pool.fetch(sql.due_packets, now, limit)
    if not due:
        return 0
    async with transaction(services.pool) as connection:
        accounts = {(pool_account(row["pool_id"]), row["currency"]) for row in due}
        accounts |= {(packet_account(row["packet_id"]), row["currency"]) for row in due}
        await lock_balances(connection, accounts)
        ended = await connection.fetch(
            sql.expire_packets, [row["packet_id"] for row in due], sources(RedPacketStatus.EXPIRED)
        )
        postings = [
            Posting(
                "red_packet_expired",
                row["packet_id"],
                transfer(
                    row["currency"],
                    row["amount_minor"],
                    packet_account(row["packet_id"]),
                    pool_account(row["pool_id"]),
                ),
            )
            for row in ended
        ]
        await book(connection, postings, now)
    return len(due)
