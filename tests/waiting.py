"""Waiting for a condition, never for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

POLL_S = 0.02


async def wait_until(
    condition: Callable[[], Awaitable[bool]], limit_s: float = 10.0, *, poll_s: float = POLL_S
) -> None:
    """Ask until it holds; fails after `limit_s`."""
    end = time.monotonic() + limit_s
    while not await condition():
        assert time.monotonic() < end, f"not so within {limit_s} s: {condition.__qualname__}"
        await asyncio.sleep(poll_s)
