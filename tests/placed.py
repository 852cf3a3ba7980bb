"""Orders in the ledger as placing leaves them, for tests of what comes after.

`stock_sku` makes a SKU with a pool, `open_sale` an activity's pool, `place` an order (a parent and a child a
shop where the lines are of several), with the same rows as app/checkout writes.
"""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from app.bootstrap import Services
from app.lib.outbox import Event, append
from app.lib.postgres import Connection, Pool, transaction

PRICE_MINOR = 1_000


async def stock_sku(
    pool: Pool, sku_id: str, *, shop_id: str = "7", on_hand: int = 10, reserve_on: str = "place"
) -> int:
    """The SKU's normal pool."""
    await pool.execute(
        "INSERT INTO shop (shop_id, name, currency, version) VALUES ($1, $1, 'CNY', 1) "
        "ON CONFLICT DO NOTHING",
        shop_id,
    )
    await pool.execute(
        "INSERT INTO item (item_id, shop_id, title, item_type, version) "
        "VALUES ($1, $2, 'Tea', 'physical', 1)",
        f"item-{sku_id}",
        shop_id,
    )
    await pool.execute(
        "INSERT INTO sku (sku_id, item_id, prices, reserve_on, version) VALUES ($1, $2, '{}', $3, 1)",
        sku_id,
        f"item-{sku_id}",
        reserve_on,
    )
    return await _pool(pool, sku_id, "0", on_hand, "set")


async def open_sale(pool: Pool, activity_id: str, sku_id: str, quantity: int, *, buyer_max: int = 1) -> int:
    """A flash sale's pool of new goods."""
    await pool.execute(
        "INSERT INTO flash_sale (activity_id, name, starts_at, ends_at, version) "
        "VALUES ($1, 'Sale', now(), now() + interval '1 hour', 1) ON CONFLICT DO NOTHING",
        activity_id,
    )
    pool_id = await _pool(pool, sku_id, activity_id, quantity, "supply_in")
    await pool.execute(
        "INSERT INTO flash_sale_item VALUES ($1, $2, 'CNY', 500, $3, $4, $5)",
        activity_id,
        sku_id,
        quantity,
        buyer_max,
        pool_id,
    )
    return pool_id


async def _pool(pool: Pool, sku_id: str, activity_id: str, on_hand: int, kind: str) -> int:
    pool_id: int = await pool.fetchval(
        "INSERT INTO stock_pool (sku_id, activity_id, on_hand) VALUES ($1, $2, $3) RETURNING pool_id",
        sku_id,
        activity_id,
        on_hand,
    )
    await pool.execute(
        "INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta) VALUES ($1, $2, $3, 0)",
        pool_id,
        kind,
        on_hand,
    )
    return pool_id


async def place(
    services: Services,
    *lines: tuple[str, int],
    buyer_id: str = "42",
    coupon_id: int | None = None,
    activity_id: str = "0",
) -> int:
    """An unpaid order of (SKU, quantity); returns the id of its root."""
    async with transaction(services.pool) as connection:
        pools = {
            row["sku_id"]: row
            for row in await connection.fetch(
                "SELECT p.pool_id, sku_id, shop_id, reserve_on FROM stock_pool AS p JOIN sku USING (sku_id) "
                "JOIN item USING (item_id) WHERE sku_id = ANY($1) AND activity_id = $2",
                [sku_id for sku_id, _ in lines],
                activity_id,
            )
        }
        by_shop = [
            (shop_id, list(part))
            for shop_id, part in groupby(lines, key=lambda line: str(pools[line[0]]["shop_id"]))
        ]
        root_id = services.ids.next()
        await _order(services, connection, root_id, None, by_shop, buyer_id, activity_id)
        for shop_id, part in by_shop:
            order_id = root_id
            if len(by_shop) > 1:
                order_id = services.ids.next()
                await _order(
                    services, connection, order_id, root_id, [(shop_id, part)], buyer_id, activity_id
                )
            for sku_id, quantity in part:
                coupon_minor = 100 if coupon_id and (sku_id, quantity) == lines[0] else 0
                await _line(services, connection, order_id, pools[sku_id], quantity, coupon_minor, coupon_id)
                if activity_id != "0":
                    await connection.execute(
                        "INSERT INTO purchase_limit VALUES ($1, $2, $3, $4)",
                        activity_id,
                        sku_id,
                        buyer_id,
                        quantity,
                    )
        if coupon_id:
            await connection.execute(
                "UPDATE coupon SET status = 'locked', order_id = $2 WHERE coupon_id = $1", coupon_id, root_id
            )
            await connection.execute(
                "UPDATE orders SET coupon_discount_minor = 100, payable_minor = payable_minor - 100 "
                "WHERE order_id IN ($1, (SELECT min(order_id) FROM orders WHERE parent_id = $1))",
                root_id,
            )
        await connection.execute(
            "INSERT INTO pay_order (order_id, currency, amount_minor) "
            "SELECT order_id, currency, payable_minor FROM orders WHERE order_id = $1",
            root_id,
        )
        await append(connection, [Event("order.placed", root_id, 1, {"order_id": str(root_id)})])
    return root_id


async def _order(
    services: Services,
    connection: Connection,
    order_id: int,
    parent_id: int | None,
    by_shop: Sequence[tuple[str, list[tuple[str, int]]]],
    buyer_id: str,
    activity_id: str,
) -> None:
    now = services.clock.now()
    goods_minor = sum(quantity * PRICE_MINOR for _, part in by_shop for _, quantity in part)
    await connection.execute(
        "INSERT INTO orders (order_id, parent_id, buyer_id, shop_id, status, currency, goods_minor, "
        "payable_minor, activity_id, created_at, pay_deadline) "
        "VALUES ($1, $2, $3, $4, 'NOT_PAID', 'CNY', $5, $5, $6, $7, $8)",
        order_id,
        parent_id,
        buyer_id,
        by_shop[0][0] if len(by_shop) == 1 else None,
        goods_minor,
        activity_id,
        now,
        None if parent_id else now + timedelta(seconds=services.settings.pay_timeout_s),
    )


async def _line(
    services: Services,
    connection: Connection,
    order_id: int,
    pool: object,
    quantity: int,
    coupon_minor: int,
    coupon_id: int | None,
) -> None:
    pool_id, sku_id, _, reserve_on = pool  # type: ignore[misc]
    discounts = [{"kind": "coupon", "rule_id": str(coupon_id), "name": "1 off", "amount_minor": coupon_minor}]
    await connection.execute(
        "INSERT INTO order_line (order_id, line_id, sku_id, title, item_type, pool_id, reserve_on, quantity, "
        "unit_price_minor, list_price_minor, goods_minor, coupon_discount_minor, payable_minor, discounts) "
        "VALUES ($1, $2, $3, 'Tea', 'physical', $4, $5, $6, $7, $7, $8, $9, $8::bigint - $9::bigint, $10)",
        order_id,
        services.ids.next(),
        sku_id,
        pool_id,
        reserve_on,
        quantity,
        PRICE_MINOR,
        PRICE_MINOR * quantity,
        coupon_minor,
        discounts if coupon_minor else None,
    )
    if reserve_on == "place":
        await connection.execute(
            "UPDATE stock_pool SET reserved = reserved + $2, version = version + 1 WHERE pool_id = $1",
            pool_id,
            quantity,
        )
        await connection.execute(
            "INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id) "
            "VALUES ($1, 'reserve', 0, $2, $3)",
            pool_id,
            quantity,
            order_id,
        )


async def give_coupon(services: Services, buyer_id: str = "42") -> int:
    """A coupon of the buyer's, with a template of its own."""
    coupon_id = services.ids.next()
    await services.pool.execute(
        "INSERT INTO coupon_template (template_id, document, granted_count, version) VALUES ($1, '{}', 1, 1)",
        f"t-{coupon_id}",
    )
    await services.pool.execute(
        "INSERT INTO coupon_claim VALUES ($1, $2, 1)",
        f"t-{coupon_id}",
        buyer_id,
    )
    await services.pool.execute(
        "INSERT INTO coupon (coupon_id, template_id, buyer_id, valid_from, valid_to) "
        "VALUES ($1, $2, $3, now(), now() + interval '30 days')",
        coupon_id,
        f"t-{coupon_id}",
        buyer_id,
    )
    return coupon_id


async def pay(services: Services, root_id: int) -> int:
    """The order is paid, as app/payments leaves it; returns the payment's id."""
    payment_id = services.ids.next()
    async with transaction(services.pool) as connection:
        amount_minor = await connection.fetchval(
            "UPDATE pay_order SET status = 'PAID', captured_minor = amount_minor, payment_id = $2 "
            "WHERE order_id = $1 RETURNING amount_minor",
            root_id,
            payment_id,
        )
        await connection.execute(
            "INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, status, currency, "
            "amount_minor, created_at, updated_at) "
            "SELECT $2, order_id, buyer_id, 'sandbox', 'card', 'CAPTURED', currency, $3, now(), now() "
            "FROM orders WHERE order_id = $1",
            root_id,
            payment_id,
            amount_minor,
        )
        paid = await connection.fetch(
            "UPDATE orders SET paid_at = now(), version = version + 1, "
            "status = CASE WHEN shop_id IS NULL THEN 'INVALID' ELSE 'PENDING_SHIPMENT' END "
            "WHERE order_id = $1 OR parent_id = $1 RETURNING order_id, shop_id, payable_minor",
            root_id,
        )
        entries = [(f"shop:{row['shop_id']}", -row["payable_minor"]) for row in paid if row["shop_id"]]
        await connection.executemany(
            "INSERT INTO ledger_entry (posting_kind, posting_id, account, currency, amount_minor, order_id) "
            "VALUES ('capture', $1, $2, 'CNY', $3, $4)",
            [(payment_id, *entry, root_id) for entry in [("channel:sandbox", amount_minor), *entries]],
        )
        await connection.execute(
            "UPDATE coupon SET status = 'used' WHERE order_id = $1 AND status = 'locked'", root_id
        )
        lines = await connection.fetch(
            "SELECT order_id, pool_id, quantity, (reserve_on = 'place')::int * quantity AS reserved "
            "FROM order_line WHERE order_id = ANY($1)",
            [row["order_id"] for row in paid],
        )
        for order_id, pool_id, quantity, reserved in lines:
            await connection.execute(
                "UPDATE stock_pool SET on_hand = on_hand - $2, reserved = reserved - $3, "
                "version = version + 1 WHERE pool_id = $1",
                pool_id,
                quantity,
                reserved,
            )
            await connection.execute(
                "INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta, order_id) "
                "VALUES ($1, 'confirm', $2, $3, $4)",
                pool_id,
                -quantity,
                -reserved,
                order_id,
            )
    return payment_id


async def read_stock(pool: Pool, pool_id: int) -> tuple[int, int]:
    """(on_hand, reserved)"""
    row = await pool.fetchrow("SELECT on_hand, reserved FROM stock_pool WHERE pool_id = $1", pool_id)
    return row["on_hand"], row["reserved"]
