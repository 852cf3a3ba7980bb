"""Seats come back with the goods: a refund before shipment frees them, in the transaction that books it."""

from __future__ import annotations

from collections.abc import Sequence

from app.lib.postgres import Connection
from app.lib.sql import load

sql = load("seats")


async def return_seats(
    connection: Connection, refund_id: int, not_shipped: Sequence[int], closed: Sequence[int]
) -> None:
    """After the stock of the same units has come back. A refund succeeds once, so they come back once."""
    await connection.execute(sql.return_seats, refund_id, list(not_shipped), list(closed))
