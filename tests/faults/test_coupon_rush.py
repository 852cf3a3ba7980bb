"""A rush for coupons, with real processes: exactly as many are given as there are, one a buyer.

RUSHCART_FAULT_CLAIMS=5000 lets 5,000 buyers loose on 1,000 coupons; by default 1,500 on 300.
"""

import os
import signal
from itertools import count

import pytest
import redis

from app.coupons.keys import gate_keys
from app.runtime.process import end
from tests.faults.judge import judge_at_rest
from tests.faults.rush import ClaimRush
from tests.faults.stack import Stack
from tests.faults.strike import AT_ONCE, rush_and_strike
from tests.rows import put_template

BUYERS = int(os.environ.get("RUSHCART_FAULT_CLAIMS", "1500"))
COUPONS = BUYERS // 5
# Who waits for a killed process to be back has waited for some seconds: fewer show the same.
KILLED_BUYERS = BUYERS // 3
_numbers = count(1)


@pytest.fixture
async def template_id(stack: Stack) -> str:
    """Coupons that every API process offers, one a buyer."""
    name = f"gift-{next(_numbers)}"
    await put_template(
        stack.services.pool, name, claimable=True, quantity_total=COUPONS, per_buyer_max=1, valid_days=7
    )
    await stack.wait_on_offer(name)
    return name


async def judge(stack: Stack, rush: ClaimRush) -> None:
    """Each buyer who was told of a coupon has it, nobody else has one, and all are given."""
    rows = await stack.services.pool.fetch(
        "SELECT buyer_id, array_agg(coupon_id::text) AS ids FROM coupon WHERE template_id = $1 GROUP BY 1",
        rush.template_id,
    )
    in_ledger = {row["buyer_id"]: set(row["ids"]) for row in rows}
    for buyer in rush.buyers:
        assert buyer.made_ids == in_ledger.get(buyer.buyer_id, set()), buyer
        assert len(buyer.made_ids) <= 1, buyer
        assert buyer.made_ids or buyer.outcome == "coupons_exhausted", buyer
    assert sum(map(len, in_ledger.values())) == COUPONS
    await judge_at_rest(stack)
    given, flight, _ = gate_keys(rush.template_id)
    assert int(await stack.services.redis.get(given) or COUPONS) == COUPONS
    assert await stack.services.redis.zcard(flight) == 0


async def test_all_at_once_get_exactly_as_many_as_there_are(stack: Stack, template_id: str) -> None:
    rush = ClaimRush(stack.services.settings, template_id, BUYERS)
    await rush.run()
    await judge(stack, rush)
    assert sum(buyer.unanswered for buyer in rush.buyers) == 0
    keys = "SELECT count(*) FROM idempotency WHERE call = 'coupon/claim' AND caller_id LIKE $1 || '-%'"
    assert await stack.services.pool.fetchval(keys, template_id) == COUPONS


async def test_valkey_flushed_in_the_middle_gives_not_one_too_many(stack: Stack, template_id: str) -> None:
    def flush() -> None:
        with redis.Redis.from_url(stack.servers.redis_url) as client:
            client.flushall()

    rush = ClaimRush(stack.services.settings, template_id, BUYERS, at_once=AT_ONCE)
    await (await rush_and_strike(rush, stack.servers.database_url, flush))
    await judge(stack, rush)


async def test_an_api_process_killed_in_the_middle_loses_and_doubles_nothing(
    stack: Stack, template_id: str
) -> None:
    def kill_one() -> None:
        end(stack.apis[0].process(), ((signal.SIGKILL, 5.0),))

    rush = ClaimRush(stack.services.settings, template_id, KILLED_BUYERS, at_once=AT_ONCE)
    running = await rush_and_strike(rush, stack.servers.database_url, kill_one)
    stack.apis[0].start()
    await running
    await judge(stack, rush)
