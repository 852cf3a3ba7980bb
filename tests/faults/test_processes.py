"""What two API processes do for one buyer, when told to stop, and beside a Valkey that hangs."""

import asyncio
import os
import signal
import time

from app.lib.auth import make_token
from tests.faults.conftest import OpenSale
from tests.faults.judge import judge
from tests.faults.rush import Rush, ask, checkout_request
from tests.faults.stack import Stack
from tests.faults.strike import AT_ONCE, rush_and_strike
from tests.waiting import wait_until

STOCK = 100
BUYERS = 300
# One time-out of a quarter of a second, then the breaker: far from a time-out each.
WITHOUT_GATE_LIMIT_S = 15.0


async def test_one_key_at_two_processes_at_once_is_one_order_told_alike(
    stack: Stack, open_sale: OpenSale
) -> None:
    sale = await open_sale(STOCK)
    for n in range(20):
        token = make_token(stack.services.settings, sub=f"twin-{n}", role="buyer")
        request = checkout_request(sale, token, "twin")
        # The kernel spreads the connections, so that nearly always both processes get some.
        told = await asyncio.gather(*[ask(stack.port, request) for _ in range(6)])
        assert {(each.status, each.body) for each in told} == {(201, told[0].body)}
        assert [each.replayed for each in told].count(False) == 1
    reserved = await stack.services.pool.fetchval(
        "SELECT reserved FROM stock_pool WHERE pool_id = $1", sale.pool_id
    )
    assert reserved == 20
    await stack.wait_settled()


async def test_a_stop_under_load_answers_every_order_that_it_has_taken(
    stack: Stack, open_sale: OpenSale
) -> None:
    rush = Rush(stack.services.settings, await open_sale(STOCK), BUYERS, at_once=AT_ONCE)

    def ask_to_stop() -> None:
        for api in stack.apis:
            assert api.pid is not None
            os.kill(api.pid, signal.SIGTERM)

    running = await rush_and_strike(rush, stack.servers.database_url, ask_to_stop)

    async def stopped() -> bool:
        return all(api.pid is None for api in stack.apis)

    await wait_until(stopped, limit_s=25.0)
    # Having drained, the server ends by the signal that it was sent.
    codes = {process.returncode for api in stack.apis for process in api.process()}
    assert codes == {-signal.SIGTERM}
    # Nobody tells the rest yet: the buyers of these orders were told before the processes ended.
    in_ledger = await stack.services.pool.fetchval(
        "SELECT count(*) FROM orders WHERE activity_id = $1", rush.sale.activity_id
    )

    async def all_told() -> bool:
        return rush.served == in_ledger

    await wait_until(all_told)
    assert await stack.in_flight() == 0
    stack.start_apis()
    await running
    await judge(stack, rush, orders=STOCK)


async def test_a_valkey_that_hangs_costs_a_moment_and_not_a_time_out_each(
    stack: Stack, open_sale: OpenSale
) -> None:
    rush = Rush(stack.services.settings, await open_sale(STOCK), BUYERS)
    pid = stack.servers.valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.perf_counter()
        await rush.run()
        took_s = time.perf_counter() - started
    finally:
        os.kill(pid, signal.SIGCONT)
    print(f"{BUYERS} buyers without a gate: {took_s:.2f} s")
    assert took_s < WITHOUT_GATE_LIMIT_S
    # What it was sent while it hung it does now: the sweep takes that out of flight again.
    await judge(stack, rush, orders=STOCK)


async def test_calls_beside_checkout_answer_503_while_the_ledger_is_away(stack: Stack) -> None:
    token = make_token(stack.services.settings, sub="42", role="buyer")
    request = (
        f"GET /shopping/orders HTTP/1.1\r\nhost: rushcart\r\nauthorization: Bearer {token}\r\n"
        "connection: close\r\n\r\n"
    ).encode()
    stack.servers.postgres.kill()
    try:
        told = await ask(stack.port, request)
    finally:
        stack.servers.postgres.start()
    assert (told.status, told.code) == (503, "ledger_down")
    await stack.wait_ready()
    assert (await ask(stack.port, request)).status == 200
