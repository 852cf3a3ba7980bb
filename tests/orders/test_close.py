"""Unpaid orders close when their time is over."""

import asyncio
from datetime import timedelta

from app.bootstrap import Services
from app.lib.clock import OffsetClock
from app.lib.postgres import transaction
from app.orders.close import close_due
from app.sweeps import SWEEPS, Sweep, sweep_once
from tests.placed import pay, place, read_stock, stock_sku


async def test_an_unpaid_order_closes_when_it_is_due_and_not_before(
    services: Services, clock: OffsetClock
) -> None:
    pool_id = await stock_sku(services.pool, "1001", on_hand=10)
    await place(services, ("1001", 4))
    clock.advance(timedelta(seconds=services.settings.pay_timeout_s - 5))
    assert await close_due(services, clock.now(), 10) == 0
    assert await read_stock(services.pool, pool_id) == (10, 4)

    clock.advance(timedelta(seconds=6))
    assert await close_due(services, clock.now(), 10) == 1
    row = await services.pool.fetchrow("SELECT status, close_reason FROM orders")
    assert tuple(row) == ("CANCELED", "not_paid_in_time")
    assert await read_stock(services.pool, pool_id) == (10, 0)
    assert await close_due(services, clock.now(), 10) == 0


async def test_a_paid_order_never_closes(services: Services, clock: OffsetClock) -> None:
    pool_id = await stock_sku(services.pool, "1001", on_hand=10)
    await pay(services, await place(services, ("1001", 4)))
    clock.advance(timedelta(days=2))
    assert sum([await sweep_once(services, sweep) for sweep in SWEEPS if "close" in sweep.name]) == 0
    assert await services.pool.fetchval("SELECT status FROM orders") == "PENDING_SHIPMENT"
    assert await read_stock(services.pool, pool_id) == (6, 0)


async def test_many_due_orders_close_in_batches_and_the_hot_pool_adds_up(
    services: Services, clock: OffsetClock
) -> None:
    pool_id = await stock_sku(services.pool, "1001", on_hand=100)
    for buyer in range(25):
        await place(services, ("1001", 2), buyer_id=str(buyer))
    clock.advance(timedelta(hours=1))
    assert await sweep_once(services, Sweep("close", close_due, batch_max=10)) == 25
    assert await read_stock(services.pool, pool_id) == (100, 0)
    assert await services.pool.fetchval("SELECT sum(reserved_delta) FROM stock_movement") == 0


async def test_two_workers_close_each_order_once(services: Services, clock: OffsetClock) -> None:
    pool_id = await stock_sku(services.pool, "1001", on_hand=100)
    for buyer in range(20):
        await place(services, ("1001", 1), buyer_id=str(buyer))
    clock.advance(timedelta(hours=1))
    sweep = Sweep("close", close_due, batch_max=7)
    counts = await asyncio.gather(*(sweep_once(services, sweep) for _ in range(3)))
    # A worker that finds all due orders locked by the others goes home; nobody waits, nothing is done twice.
    closed = sum(counts) + await sweep_once(services, sweep)
    assert closed == 20
    assert await read_stock(services.pool, pool_id) == (100, 0)
    assert await services.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'order.canceled'") == 20


async def test_an_order_that_is_being_paid_is_left_alone(services: Services, clock: OffsetClock) -> None:
    await stock_sku(services.pool, "1001", on_hand=10)
    order_id = await place(services, ("1001", 4))
    clock.advance(timedelta(hours=1))
    async with transaction(services.pool) as paying:
        await paying.execute("SELECT FROM orders WHERE order_id = $1 FOR UPDATE", order_id)
        assert await close_due(services, clock.now(), 10) == 0
    assert await close_due(services, clock.now(), 10) == 1


async def test_an_order_that_the_ledger_refuses_to_close_holds_up_no_other(
    services: Services, clock: OffsetClock
) -> None:
    wrong_id = await stock_sku(services.pool, "wrong", on_hand=10)
    pool_id = await stock_sku(services.pool, "right", on_hand=10)
    wrong = await place(services, ("wrong", 1))
    await place(services, ("right", 1))
    await services.pool.execute("UPDATE stock_pool SET reserved = 0 WHERE pool_id = $1", wrong_id)
    clock.advance(timedelta(hours=1))
    assert await close_due(services, clock.now(), 10) == 1
    assert await read_stock(services.pool, pool_id) == (10, 0)
    assert await services.pool.fetchval("SELECT status FROM orders WHERE order_id = $1", wrong) == "NOT_PAID"
    assert await read_stock(services.pool, wrong_id) == (10, 0)
