"""What the gates share: who waits together is asked about together, and a gate that is down decides nothing.

A gate only answers sooner; the ledger decides. So nothing here fails because of Valkey: a question that it
does not answer gets the reply that says so, and whoever asked goes on to the ledger; what a gate was not told
is found by its reconciler. What a gate does not hold is loaded, once for all who miss it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeVar

import structlog
from redis.exceptions import ResponseError

from app.lib import metrics
from app.lib.batching import Batcher
from app.lib.errors import Unavailable
from app.lib.postgres import TRANSIENT_ERRORS
from app.lib.valkey import Call, GateDown, Script, Valkey

log = structlog.get_logger()

# One call with 256 questions takes Valkey about 2 ms, far below the time limit of a round trip.
QUESTIONS_MAX = 256
# While one is under way the next grows: a second lane would only make both smaller (docs/performance.md).
LANES_MAX = 1
# Beyond the committers' own backlog nobody can wait here either.
BACKLOG_MAX = 8_192
# The ledger is away, or too many wait for it: then nothing can be loaded.
LOAD_ERRORS: tuple[type[Exception], ...] = (*TRANSIENT_ERRORS, Unavailable)

Question = TypeVar("Question")
Reply = TypeVar("Reply")
Key = TypeVar("Key", bound=Hashable)


def asking(
    valkey: Valkey,
    script: Script,
    *,
    name: str,
    key_of: Callable[[Question], Hashable],
    call_of: Callable[[Sequence[Question]], Call],
    replies_of: Callable[[Sequence[Question], bytes], Sequence[Reply]],
    down: Reply,
) -> Batcher[Question, Reply]:
    """Questions that wait at the same moment: one call of the script for all of a key, one reply each."""

    async def ask(questions: list[Question]) -> list[Reply]:
        by_key: dict[Hashable, list[int]] = defaultdict(list)
        for number, question in enumerate(questions):
            by_key[key_of(question)].append(number)
        parts = [[questions[number] for number in numbers] for numbers in by_key.values()]
        answers = await try_scripts(valkey, script, [call_of(part) for part in parts])
        replies = [down] * len(questions)
        for part, numbers, answer in zip(parts, by_key.values(), answers, strict=True):
            if answer is not None:
                for number, reply in zip(numbers, replies_of(part, answer), strict=True):
                    replies[number] = reply
        return replies

    return Batcher(ask, name=name, size_max=QUESTIONS_MAX, lanes_max=LANES_MAX, backlog_max=BACKLOG_MAX)


def loading(load: Callable[[set[Key]], Awaitable[None]], *, name: str) -> Batcher[Key, None]:
    """Keys that the gate does not hold: after a flush thousands miss the same one, and share one load.

    Raises what `load` raises, and Unavailable when too many wait.
    """

    async def load_each_once(keys: list[Key]) -> list[None]:
        await load(set(keys))
        return [None] * len(keys)

    return Batcher(
        load_each_once, name=name, size_max=QUESTIONS_MAX, lanes_max=LANES_MAX, backlog_max=BACKLOG_MAX
    )


async def try_scripts(valkey: Valkey, script: Script, calls: Sequence[Call]) -> list[Any]:
    """One answer per call, in order; None for one that failed, for all where Valkey is down. Never raises."""
    try:
        answers = await valkey.run_scripts(script, calls)
    except GateDown:
        metrics.GATE_FAILURES.inc()
        return [None] * len(calls)
    for number, answer in enumerate(answers):
        if isinstance(answer, ResponseError):  # still loading its data, a broken key
            metrics.GATE_FAILURES.inc()
            log.warning("gate_script_failed", script=script.name, error=str(answer))
            answers[number] = None
    return answers
