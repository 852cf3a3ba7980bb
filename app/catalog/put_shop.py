"""Create or change a shop. The same document again changes nothing, and nobody has to refresh for it."""

from __future__ import annotations

from app.catalog.documents import Shop, ShopDocument
from app.catalog.read import check_freight_template
from app.lib.postgres import Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load

sql = load("catalog")


async def put_shop(pool: Pool, shop_id: str, document: ShopDocument) -> Shop:
    """Raises NotFound (`freight_template_not_found`)."""
    template_id = document.freight_template_id
    async with transaction(pool) as connection:
        version = await lock_version(connection, "catalog")
        await check_freight_template(connection, shop_id, template_id)
        changed = await connection.fetchval(
            sql.upsert_shop, shop_id, document.name, document.currency, template_id, version
        )
        if changed:
            await publish_version(connection, "catalog", version)
    return Shop(shop_id, document.name, document.currency, template_id)
