"""What placing orders keeps alive in a process: the committer, the look-up of keys, what runs right now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.checkout.commit import Committer
from app.checkout.deliver_to import DeliverTo
from app.checkout.pass_gate import SoldOut
from app.checkout.replays import Replays
from app.lib.idempotency import Answer
from app.lib.postgres import Pool
from app.settings import Settings
from app.stock.gate import Gate


@dataclass(slots=True)
class Placing:
    """`in_progress`: digest of a key -> hash of its content, and the outcome to come."""

    committer: Committer
    replays: Replays
    deliver_to: DeliverTo
    sold_out: SoldOut = field(default_factory=SoldOut)
    in_progress: dict[bytes, tuple[bytes, asyncio.Future[Answer]]] = field(default_factory=dict)

    async def stop(self) -> None:
        """Finish every order that was taken."""
        await self.committer.stop()


def open_placing(pool: Pool, gate: Gate, settings: Settings) -> Placing:
    """`pool` must not be shared with slow callers: every order waits for it."""
    return Placing(Committer(pool, gate, settings), Replays(pool), DeliverTo(pool))
