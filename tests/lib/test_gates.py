"""What all gates do alike: ask together, load once, and never fail because of Valkey."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from operator import itemgetter

import pytest

from app.coupons.keys import gate_keys
from app.coupons.scripts import CLAIM, TELL, Asked, Verdict, claim_call, claim_replies, tell_call
from app.lib import metrics
from app.lib.batching import Batcher
from app.lib.gate import asking, loading, try_scripts
from app.lib.valkey import Call, Valkey

# (template, buyer)
Question = tuple[str, str]


class Coupons:
    """A gate of coupons without a ledger; notes what each call asked."""

    def __init__(self, valkey: Valkey) -> None:
        self.valkey = valkey
        self.parts: list[Sequence[Question]] = []
        self.asking: Batcher[Question, Verdict] = asking(
            valkey,
            CLAIM,
            name="test",
            key_of=itemgetter(0),
            call_of=self.call,
            replies_of=lambda _, raw: [reply.verdict for reply in claim_replies(raw)],
            down=Verdict.DOWN,
        )

    def call(self, part: Sequence[Question]) -> Call:
        self.parts.append(part)
        asked = [Asked(f"key-{buyer_id}", buyer_id, is_open=True) for _, buyer_id in part]
        return claim_call(part[0][0], 2, 1, asked, int(time.time() * 1000))

    async def ask(self, *questions: Question) -> list[Verdict]:
        return await asyncio.gather(*[self.asking.submit(question) for question in questions])

    async def hold(self, template_id: str) -> None:
        """All two of its coupons are there, and nobody has one."""
        assert await try_scripts(self.valkey, TELL, [tell_call(template_id, 0, [], complete=True)]) == [0]


@pytest.fixture
async def coupons(redis_url: str) -> AsyncIterator[Coupons]:
    valkey = Valkey(redis_url, connections_max=2)
    yield Coupons(valkey)
    await valkey.close()


def failures() -> float:
    return metrics.GATE_FAILURES._value.get()


async def test_who_asks_at_the_same_moment_shares_a_call_a_key_and_gets_the_own_reply(
    coupons: Coupons,
) -> None:
    await coupons.hold("a")
    questions = [("a", "1"), ("b", "1"), ("a", "2"), ("a", "3"), ("b", "2")]
    replies = await coupons.ask(*questions)
    assert replies == [Verdict.CLAIMED, Verdict.LOAD, Verdict.CLAIMED, Verdict.EXHAUSTED, Verdict.LOAD]
    assert coupons.parts == [[("a", "1"), ("a", "2"), ("a", "3")], [("b", "1"), ("b", "2")]]


async def test_a_broken_key_is_the_ledgers_to_decide_and_the_others_are_answered(coupons: Coupons) -> None:
    await coupons.hold("a")
    given, _, _ = gate_keys("broken")
    await coupons.valkey.command("HSET", given, "not", "a number")
    before = failures()
    assert await coupons.ask(("broken", "1"), ("a", "1")) == [Verdict.DOWN, Verdict.CLAIMED]
    assert failures() - before == 1
    told = [tell_call("broken", 1, []), tell_call("a", 1, [])]
    assert await try_scripts(coupons.valkey, TELL, told) == [None, 0]


async def test_without_valkey_the_ledger_decides_all_and_nothing_fails(coupons: Coupons) -> None:
    before = failures()
    coupons.valkey.breaker.failed()
    assert await coupons.ask(("a", "1"), ("b", "1")) == [Verdict.DOWN, Verdict.DOWN]
    told = [tell_call("a", 1, []), tell_call("b", 1, [])]
    assert await try_scripts(coupons.valkey, TELL, told) == [None, None]
    assert failures() - before == 2


async def test_what_many_miss_is_loaded_once() -> None:
    loads: list[set[str]] = []

    async def load(keys: set[str]) -> None:
        loads.append(keys)

    batcher = loading(load, name="test")
    await asyncio.gather(*[batcher.submit(key) for key in ("a", "b", "a", "a")])
    assert loads == [{"a", "b"}]
