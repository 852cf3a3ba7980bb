"""Points that come back go to the lots that they came from; what the buyer owes is kept from them."""

from __future__ import annotations

from collections.abc import Mapping

from app.balances.accounts import POINTS
from app.balances.book import Account
from app.lib.postgres import Connection
from app.lib.sql import load
from app.points.lots import after_debt

sql = load("points")


async def refill_lots(
    connection: Connection, points: Mapping[tuple[int, str], int], balances: Mapping[Account, int]
) -> list[int]:
    """`points`: of each order and account, under the account's lock; `balances` before they came back.

    The lots that end last are filled first. Leaves the lots that were filled.
    """
    uses = await connection.fetch(sql.read_lot_uses, [root_id for root_id, _ in points])
    held = {account: balances[account, POINTS] for _, account in points}
    returned: list[tuple[int, int, int]] = []
    filled: list[tuple[int, int]] = []
    for (root_id, account), amount in sorted(points.items()):
        to_lots, left = after_debt(held[account], amount), amount
        held[account] += amount
        for use in [each for each in uses if each["root_id"] == root_id]:
            part = min(left, use["points"] - use["returned"])
            if part:
                returned.append((root_id, use["lot_id"], part))
                filled.append((use["lot_id"], min(part, to_lots)))
                left, to_lots = left - part, to_lots - min(part, to_lots)
        assert left == 0, "no more comes back than was taken"
    await connection.execute(sql.return_lot_uses, *map(list, zip(*returned, strict=True)))
    await connection.execute(sql.change_lots, *map(list, zip(*filled, strict=True)))
    return [lot_id for lot_id, part in filled if part]
