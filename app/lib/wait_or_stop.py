"""A pause between two rounds of a loop, which ends at once when the loop is to stop."""

from __future__ import annotations

import asyncio


async def wait_or_stop(stopping: asyncio.Event, wait_s: float) -> None:
    """Wait, but not beyond the moment when `stopping` is set."""
    try:
        async with asyncio.timeout(wait_s):
            await stopping.wait()
    except TimeoutError:
        pass
