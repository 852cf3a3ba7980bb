"""What placing orders keeps alive in a process: the committer, the look-up of keys, what runs right now."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.checkout.commit import Committer
from app.checkout.deliver_to import DeliverTo
from app.checkout.in_progress import InProgress
from app.checkout.pass_gate import SoldOut
from app.checkout.replays import Replays
from app.lib.postgres import Pool
from app.settings import Settings
from app.stock.gate import Gate


@dataclass(slots=True)
class Placing:
    committer: Committer
    replays: Replays
    deliver_to: DeliverTo
    sold_out: SoldOut = field(default_factory=SoldOut)
    in_progress: InProgress = field(default_factory=InProgress)

    async def stop(self) -> None:
        """Finish every order that was taken."""
        await self.committer.stop()


def open_placing(pool: Pool, gate: Gate, settings: Settings) -> Placing:
    """`pool` must not be shared with slow callers: every order waits for it."""
    return Placing(Committer(pool, gate, settings), Replays(pool), DeliverTo(pool))
