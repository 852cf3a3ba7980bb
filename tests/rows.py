"""Rows that tests start from, written straight into the ledger."""

import asyncpg


async def put_shop(pool: asyncpg.Pool, shop_id: str = "7", currency: str = "CNY") -> None:
    await pool.execute(
        "WITH next AS (UPDATE snapshot_version SET version = version + 1 WHERE name = 'catalog' "
        "RETURNING version) "
        "INSERT INTO shop (shop_id, name, currency, version) SELECT $1, $1, $2, version FROM next "
        "ON CONFLICT DO NOTHING",
        shop_id,
        currency,
    )


async def put_sku(
    pool: asyncpg.Pool,
    sku_id: str = "1001",
    *,
    shop_id: str = "7",
    on_hand: int = 10,
    price_minor: int = 10_000,
    item_type: str = "virtual",
    reserve_on: str = "place",
) -> int:
    """A SKU on sale with its own item; returns its stock pool's id."""
    await put_shop(pool, shop_id)
    async with pool.acquire() as connection, connection.transaction():
        version = await connection.fetchval(
            "UPDATE snapshot_version SET version = version + 1 WHERE name = 'catalog' RETURNING version"
        )
        await connection.execute(
            "INSERT INTO item (item_id, shop_id, title, item_type, version) VALUES ($1, $2, $1, $3, $4)",
            f"item-{sku_id}",
            shop_id,
            item_type,
            version,
        )
        prices = {"CNY": {"price_minor": price_minor, "list_price_minor": price_minor}}
        await connection.execute(
            "INSERT INTO sku (sku_id, item_id, prices, reserve_on, version) VALUES ($1, $2, $3, $4, $5)",
            sku_id,
            f"item-{sku_id}",
            prices,
            reserve_on,
            version,
        )
        pool_id: int = await connection.fetchval(
            "INSERT INTO stock_pool (sku_id, on_hand) VALUES ($1, $2) RETURNING pool_id", sku_id, on_hand
        )
        await connection.execute(
            "INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta)"
            " VALUES ($1, 'set', $2, 0)",
            pool_id,
            on_hand,
        )
    return pool_id


async def put_template(pool: asyncpg.Pool, template_id: str, **document: object) -> None:
    """A coupon template, 10.00 off unless it says otherwise, that every process knows a moment later."""
    written = {"name": template_id, "effect": {"kind": "amount_off", "amount_minor": 1_000}} | document
    await pool.execute(
        "WITH next AS (UPDATE snapshot_version SET version = version + 1 WHERE name = 'promotions'"
        " RETURNING version) INSERT INTO coupon_template (template_id, document, quantity_total, version)"
        " SELECT $1, $2, $3, version FROM next",
        template_id,
        written,
        written.get("quantity_total"),
    )


async def put_flash_sale(
    pool: asyncpg.Pool,
    activity_id: str,
    sku_id: str,
    *,
    price_minor: int,
    quantity: int,
    per_buyer_max: int | None = None,
) -> int:
    """A flash sale of one SKU that is open now; returns its pool's id."""
    async with pool.acquire() as connection, connection.transaction():
        version = await connection.fetchval(
            "UPDATE snapshot_version SET version = version + 1 WHERE name = 'flash_sales' RETURNING version"
        )
        await connection.execute(
            "INSERT INTO flash_sale (activity_id, name, starts_at, ends_at, version)"
            " VALUES ($1, $1, now() - interval '1 hour', now() + interval '1 hour', $2)",
            activity_id,
            version,
        )
        pool_id: int = await connection.fetchval(
            "INSERT INTO stock_pool (sku_id, activity_id, on_hand) VALUES ($1, $2, $3) RETURNING pool_id",
            sku_id,
            activity_id,
            quantity,
        )
        await connection.execute(
            "INSERT INTO stock_movement (pool_id, kind, on_hand_delta, reserved_delta)"
            " VALUES ($1, 'supply_in', $2, 0)",
            pool_id,
            quantity,
        )
        await connection.execute(
            "INSERT INTO flash_sale_item VALUES ($1, $2, 'CNY', $3, $4, $5, $6)",
            activity_id,
            sku_id,
            price_minor,
            quantity,
            per_buyer_max,
            pool_id,
        )
    return pool_id
