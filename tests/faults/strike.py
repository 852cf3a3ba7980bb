"""Break something in the middle of a sale: when so many orders are in the ledger, from a thread of its own.

The buyers of a rush keep the test's event loop busy; a task of it would strike when the sale is over.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import asyncpg

from tests.faults.rush import Crowd
from tests.waiting import wait_until

# "In the middle": so many orders are in the ledger, and the other buyers are on their way.
MIDDLE = 20
# Buyers at a time where the sale must last until the strike; one commit's worth and more are under way.
AT_ONCE = 64
# A rush of 2,000 needs about a second until its first orders are in the ledger.
MIDDLE_LIMIT_S = 30.0


async def rush_and_strike(rush: Crowd, database_url: str, strike: Callable[[], None]) -> asyncio.Task[None]:
    """Start the rush, return when `strike` has run in its middle; the rush goes on in the task."""
    watching = threading.Event()
    answered_when_struck = -1

    async def watch() -> None:
        nonlocal answered_when_struck
        connection = await asyncpg.connect(database_url)
        watching.set()

        async def in_the_middle() -> bool:
            return bool(await connection.fetchval(rush.progress, rush.subject) >= MIDDLE)

        await wait_until(in_the_middle, MIDDLE_LIMIT_S, poll_s=0.001)
        answered_when_struck = rush.answered
        strike()
        connection.terminate()

    striking = asyncio.create_task(asyncio.to_thread(asyncio.run, watch()))
    await asyncio.to_thread(watching.wait, MIDDLE_LIMIT_S)
    running = asyncio.create_task(rush.run(), name="rush")
    await striking
    print(f"struck when {answered_when_struck} of {len(rush.buyers)} had an answer")
    assert answered_when_struck < len(rush.buyers), "the strike came too late"
    return running
