"""What must hold after a rush, whatever was killed in the middle of it."""

from __future__ import annotations

from app.audit.audit import audit
from tests.faults.rush import Rush
from tests.faults.stack import Stack

# A refusal of a flash sale that is a clear word to a buyer.
CLEAR_REFUSALS = {"out_of_stock", "purchase_limit_exceeded"}


async def judge(stack: Stack, rush: Rush, *, orders: int, at_rest: bool = True) -> None:
    """Exactly `orders` orders, each known to its buyer; the gate at rest and equal to the ledger."""
    by_buyer = await _orders_by_buyer(stack, rush)
    assert {buyer_id: len(ids) for buyer_id, ids in by_buyer.items() if len(ids) > 1} == {}
    for buyer in rush.buyers:
        in_ledger = set(by_buyer.get(buyer.buyer_id, ()))
        # Acknowledged means in the ledger, and every answer to one key names the same order.
        assert buyer.made_ids == in_ledger, buyer
        assert buyer.outcome == "placed" if in_ledger else buyer.outcome in CLEAR_REFUSALS, buyer
        assert all(told.status in (201, 409, 503) for told in buyer.answers), buyer
    assert len(by_buyer) == orders
    await _judge_ledger(stack, rush, orders)
    if at_rest:
        await judge_at_rest(stack)


async def judge_at_rest(stack: Stack) -> None:
    """Nothing stuck in the gate after half a minute, and nothing for the audit to find."""
    await stack.wait_settled()
    wrong = [each for each in await audit(stack.services) if each.violations or each.skipped]
    assert not wrong, wrong


async def _orders_by_buyer(stack: Stack, rush: Rush) -> dict[str, list[str]]:
    rows = await stack.services.pool.fetch(
        "SELECT buyer_id, array_agg(order_id::text) AS ids FROM orders WHERE activity_id = $1"
        " AND parent_id IS NULL GROUP BY buyer_id",
        rush.sale.activity_id,
    )
    return {row["buyer_id"]: row["ids"] for row in rows}


async def _judge_ledger(stack: Stack, rush: Rush, orders: int) -> None:
    """Stock, movements, lines, keys, limits and events all tell of the same orders."""
    row = await stack.services.pool.fetchrow(
        """
        SELECT p.on_hand, p.reserved,
            (SELECT sum(on_hand_delta) FROM stock_movement m WHERE m.pool_id = p.pool_id)::int AS supplied,
            (SELECT sum(reserved_delta) FROM stock_movement m WHERE m.pool_id = p.pool_id)::int AS moved,
            (SELECT sum(quantity) FROM order_line l WHERE l.pool_id = p.pool_id)::int AS lines,
            (SELECT sum(quantity) FROM purchase_limit WHERE activity_id = p.activity_id)::int AS limits,
            (SELECT count(*) FROM idempotency WHERE caller_id LIKE p.activity_id || '-%')::int AS keys,
            (SELECT count(*) FROM outbox JOIN orders ON order_id = aggregate_id
                WHERE orders.activity_id = p.activity_id AND topic = 'order.placed')::int AS events
        FROM stock_pool AS p WHERE p.pool_id = $1
        """,
        rush.sale.pool_id,
    )
    assert dict(row) == {
        "on_hand": rush.sale.stock,
        "reserved": orders,
        "supplied": rush.sale.stock,
        "moved": orders,
        "lines": orders,
        "limits": orders,
        "keys": orders,
        "events": orders,
    }
