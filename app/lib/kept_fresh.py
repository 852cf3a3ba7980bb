"""What a process refreshes every moment: what it has read of the ledger, its lease of a node.

Enters a verb and a period; from `start` to `stop` it is called again and again. A refresh that fails leaves
what there is as it was; it is counted and logged, and the next one is tried all the same: whatever one meets,
none may end the others, since nobody would notice that a snapshot stands still.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog

from app.lib import metrics
from app.lib.postgres import TRANSIENT_ERRORS

log = structlog.get_logger()


class KeptFresh:
    """`start` begins, a period from now; `stop` ends it, in the middle of a refresh if need be."""

    def __init__(self, refresh: Callable[[], Awaitable[None]], *, name: str, period_s: float) -> None:
        self._refresh = refresh
        self._name = name
        self._period_s = period_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._refresh_for_ever(), name=self._name)

    async def _refresh_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)
            try:
                await self._refresh()
            except Exception as error:
                metrics.REFRESH_FAILURES.labels(self._name).inc()
                # Else it comes again every time, and somebody must look: what this version cannot read, say.
                tell = log.warning if isinstance(error, TRANSIENT_ERRORS) else log.error
                tell("refresh_failed", what=self._name, error=repr(error))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
