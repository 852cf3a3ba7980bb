"""Orders as placing leaves them, written straight into the ledger: reserved, unpaid, due."""

from datetime import timedelta
from typing import Any

import msgspec

from app.bootstrap import Services


class Order(msgspec.Struct):
    """`child_ids` is empty for an order of one shop; `line_ids` and `pool_ids` are by SKU."""

    order_id: int
    child_ids: list[int]
    payable_minor: int
    line_ids: dict[str, int]
    pool_ids: dict[str, int]


class Line(msgspec.Struct):
    sku_id: str
    quantity: int = 1
    unit_price_minor: int = 10_000
    shop_id: str = "7"
    reserve_on: str = "place"
    on_hand: int = 10


async def place(
    services: Services, lines: list[Line], *, buyer_id: str = "42", currency: str = "CNY"
) -> Order:
    """One order, or a parent with a child a shop; due in 15 minutes."""
    shops: dict[str, list[Line]] = {}
    for line in lines:
        shops.setdefault(line.shop_id, []).append(line)
    root_id = services.ids.next()
    order = Order(root_id, [], 0, {}, {})
    for shop_id, shop_lines in shops.items():
        order_id = root_id if len(shops) == 1 else services.ids.next()
        if order_id != root_id:
            order.child_ids.append(order_id)
        goods_minor = sum(line.quantity * line.unit_price_minor for line in shop_lines)
        order.payable_minor += goods_minor
        await _insert_order(services, order_id, root_id, buyer_id, shop_id, currency, goods_minor)
        for line in shop_lines:
            await _insert_line(services, order, order_id, line)
    if len(shops) > 1:
        await _insert_order(services, root_id, root_id, buyer_id, None, currency, order.payable_minor)
    await services.pool.execute(
        "INSERT INTO pay_order (order_id, currency, amount_minor) VALUES ($1, $2, $3)",
        root_id,
        currency,
        order.payable_minor,
    )
    return order


async def _insert_order(
    services: Services,
    order_id: int,
    root_id: int,
    buyer_id: str,
    shop_id: str | None,
    currency: str,
    goods_minor: int,
) -> None:
    now = services.clock.now()
    await services.pool.execute(
        "INSERT INTO orders (order_id, parent_id, buyer_id, shop_id, status, currency, goods_minor,"
        " payable_minor, created_at, pay_deadline) VALUES ($1, $2, $3, $4, 'NOT_PAID', $5, $6, $6, $7, $8)",
        order_id,
        None if order_id == root_id else root_id,
        buyer_id,
        shop_id,
        currency,
        goods_minor,
        now,
        now + timedelta(minutes=15) if order_id == root_id else None,
    )


async def _insert_line(services: Services, order: Order, order_id: int, line: Line) -> None:
    pool_id = await _open_pool(services, line)
    line_id = services.ids.next()
    order.line_ids[line.sku_id], order.pool_ids[line.sku_id] = line_id, pool_id
    goods_minor = line.quantity * line.unit_price_minor
    await services.pool.execute(
        "INSERT INTO order_line (order_id, line_id, sku_id, title, item_type, pool_id, reserve_on, quantity,"
        " unit_price_minor, list_price_minor, goods_minor, payable_minor)"
        " VALUES ($1, $2, $3, $3, 'virtual', $4, $5, $6, $7, $7, $8, $8)",
        order_id,
        line_id,
        line.sku_id,
        pool_id,
        line.reserve_on,
        line.quantity,
        line.unit_price_minor,
        goods_minor,
    )
    if line.reserve_on == "place":
        await services.pool.execute(
            "UPDATE stock_pool SET reserved = reserved + $2, version = version + 1 WHERE pool_id = $1",
            pool_id,
            line.quantity,
        )
        await services.pool.execute(
            "INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id)"
            " VALUES ($1, 'reserve', 0, $2, $3)",
            pool_id,
            line.quantity,
            order_id,
        )


async def _open_pool(services: Services, line: Line) -> int:
    pool: Any = services.pool
    found: int | None = await pool.fetchval(
        "SELECT pool_id FROM stock_pool WHERE sku_id = $1 AND activity_id = '0'", line.sku_id
    )
    if found is not None:
        return found
    await pool.execute(
        "INSERT INTO shop (shop_id, name, currency, version) VALUES ($1, $1, 'CNY', 1)"
        " ON CONFLICT DO NOTHING",
        line.shop_id,
    )
    await pool.execute(
        "INSERT INTO item (item_id, shop_id, title, item_type, version) VALUES ($1, $2, $1, 'virtual', 1)",
        line.sku_id,
        line.shop_id,
    )
    await pool.execute(
        "INSERT INTO sku (sku_id, item_id, prices, reserve_on, version) VALUES ($1, $1, '{}', $2, 1)",
        line.sku_id,
        line.reserve_on,
    )
    opened: int = await pool.fetchval(
        "WITH opened AS"
        " (INSERT INTO stock_pool (sku_id, on_hand) VALUES ($1, $2) RETURNING pool_id, on_hand),"
        " moved AS (INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta)"
        " SELECT pool_id, 'set', on_hand, 0 FROM opened) SELECT pool_id FROM opened",
        line.sku_id,
        line.on_hand,
    )
    return opened
