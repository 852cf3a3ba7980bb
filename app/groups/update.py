"""What an outside system says of a group (`POST /event/group_update`): the shop's own admin, a mini-program.

`failed`: it is to end now. It takes nobody any more, and the sweep fails it when the grace for late
notifications of payments in time is over; a group that is full by then has succeeded. `changed`: the gate
reads it anew. Said twice, late, or of a group that has ended, either changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from app.groups.ledger import sql
from app.lib.postgres import Connection
from app.payments.aftermath import Aftermath


class GroupNotVisible(Exception):
    """A group of this id is not there: it may be about to begin."""


async def update(
    connection: Connection,
    group_id: int,
    status: Literal["failed", "changed"],
    now: datetime,
    aftermath: Aftermath,
) -> str:
    """Leaves what came of it, in a word. Raises GroupNotVisible."""
    before = await connection.fetchval(sql.read_status, group_id)
    if before is None:
        raise GroupNotVisible(group_id)
    aftermath.group_ids.append(group_id)
    if status == "failed" and await connection.fetchval(sql.end_early, group_id, now) is not None:
        return "ends_early"
    return "nothing"
