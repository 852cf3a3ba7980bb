"""A refund gives back its share of what the order spent: points to their lots, money to its cards.

Inside the transaction that asks for the refund, under the order's locks: these parts need no channel, so the
buyer has them at once. A red packet was good for one order: its share goes to the pool that it came from.
What comes back to a card or a lot that has ended, or soon will, can be spent for RETURNED_VALID_FOR.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from app.balances.accounts import POINTS, points_account, pool_account, spent
from app.balances.book import Account, Posting, book, lock_balances, merge, transfer
from app.balances.deductions import LineShare
from app.balances.refill import refill_lots
from app.lib.postgres import Connection
from app.lib.sql import load
from app.points.take_back import take_back

sql = load("balances")
points_sql = load("points")
cards_sql = load("gift_cards")
packets_sql = load("red_packets")

# Long enough to notice the refund and to buy something else; the law of some places asks for it.
RETURNED_VALID_FOR = timedelta(days=30)


async def read_left(connection: Connection, order_ids: Sequence[int]) -> list[LineShare]:
    """Of these orders' lines."""
    return [LineShare(**row) for row in await connection.fetch(sql.read_left, order_ids)]


async def give_back(
    connection: Connection,
    refund_id: int,
    root_id: int,
    buyer_id: str,
    shares: Sequence[LineShare],
    points_taken_back: int,
    now: datetime,
) -> None:
    """`points_taken_back`: of those that the order had earned, the share of the money that goes back."""
    if not shares and not points_taken_back:
        return
    pools = {}
    if any(share.kind == "red_packet" for share in shares):
        packets = await connection.fetch(packets_sql.packets_of_orders, [root_id])
        pools = {f"red_packet:{row['packet_id']}": pool_account(row["pool_id"]) for row in packets}
    targets = {share.account: pools.get(share.account, share.account) for share in shares}
    points: Account = (points_account(buyer_id), POINTS)
    accounts = [(targets[share.account], share.currency) for share in shares]
    balances = await lock_balances(connection, [*accounts, points], opening=True)
    if shares:
        await _book(connection, refund_id, root_id, shares, targets, now)
        await _return_points(connection, root_id, shares, balances, now)
        await _keep_cards_open(connection, shares, now)
    if points_taken_back:
        returned = sum(share.amount for share in shares if share.kind == "points")
        held = balances[points] + returned
        await take_back(connection, root_id, buyer_id, refund_id, points_taken_back, held, now)


async def _book(
    connection: Connection,
    refund_id: int,
    root_id: int,
    shares: Iterable[LineShare],
    targets: dict[str, str],
    now: datetime,
) -> None:
    rows = [
        (share.order_id, share.line_id, share.account, share.amount, share.amount_minor) for share in shares
    ]
    await connection.execute(sql.return_deductions, *map(list, zip(*rows, strict=True)))
    entries = merge(
        entry
        for share in shares
        for entry in transfer(share.currency, share.amount, spent(share.kind), targets[share.account])
    )
    await book(connection, [Posting("give_back", refund_id, entries, root_id)], now)


async def _return_points(
    connection: Connection,
    root_id: int,
    shares: Iterable[LineShare],
    balances: dict[Account, int],
    now: datetime,
) -> None:
    points: dict[tuple[int, str], int] = {}
    for share in shares:
        if share.kind == "points" and share.amount:
            points[root_id, share.account] = points.get((root_id, share.account), 0) + share.amount
    if points:
        filled = await refill_lots(connection, points, balances)
        await connection.execute(points_sql.keep_lots_open, filled, now + RETURNED_VALID_FOR)


async def _keep_cards_open(connection: Connection, shares: Iterable[LineShare], now: datetime) -> None:
    cards = {int(share.account.removeprefix("gift_card:")) for share in shares if share.kind == "gift_card"}
    if cards:
        await connection.execute(cards_sql.keep_cards_open, list(cards), now + RETURNED_VALID_FOR)
