"""Administration of shops and items: `op`, or `merchant` for its own shop. A PUT may be repeated."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from app.catalog.documents import Item, ItemDocument, Shop, ShopDocument
from app.catalog.put_item import put_item
from app.catalog.put_shop import put_shop
from app.catalog.read import list_items, list_shops, read_item, read_shop
from app.dependencies import ServicesDependency, Staff
from app.lib.errors import Conflict, NotFound
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Cursor, Limit, PathId, QueryId

# An item of 2,048 SKUs in two currencies is half a megabyte.
ITEM_BYTES_MAX = 2 << 20


@put("/admin/shops/{shop_id:str}", problems=((NotFound, "freight_template_not_found"),))
async def replace_shop(
    shop_id: PathId, data: JSONBody[ShopDocument], services: ServicesDependency, staff: Staff
) -> Shop:
    staff.require_shop(shop_id)
    shop = await put_shop(services.pool, shop_id, data)
    await services.prices.refresh()
    return shop


@get("/admin/shops/{shop_id:str}", problems=((NotFound, "shop_not_found"),))
async def show_shop(shop_id: PathId, services: ServicesDependency, staff: Staff) -> Shop:
    staff.require_shop(shop_id)
    return await read_shop(services.pool, shop_id)


@get("/admin/shops")
async def show_shops(
    services: ServicesDependency,
    staff: Staff,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[Shop]:
    return await list_shops(services.pool, staff.shop_id, cursor, limit)


@put(
    "/admin/items/{item_id:str}",
    request_max_body_size=ITEM_BYTES_MAX,
    problems=(
        (NotFound, "shop_not_found"),
        (NotFound, "freight_template_not_found"),
        (Conflict, "item_of_other_shop"),
        (Conflict, "sku_of_other_shop"),
    ),
)
async def replace_item(
    item_id: PathId, data: JSONBody[ItemDocument], services: ServicesDependency, staff: Staff
) -> Item:
    staff.require_shop(data.shop_id)
    item = await put_item(services.pool, item_id, data)
    await services.prices.refresh()
    return item


@get("/admin/items/{item_id:str}", problems=((NotFound, "item_not_found"),))
async def show_item(item_id: PathId, services: ServicesDependency, staff: Staff) -> Item:
    item = await read_item(services.pool, item_id)
    staff.require_shop(item.shop_id)
    return item


@get("/admin/items")
async def show_items(
    services: ServicesDependency,
    staff: Staff,
    shop_id: QueryId = None,
    limit: Limit = PAGE_LIMIT_DEFAULT,
    cursor: Cursor = "",
) -> Page[Item]:
    """A merchant sees its own shop's items, whatever it asks for."""
    return await list_items(services.pool, staff.shop_id or shop_id, cursor, limit)


ROUTES = [replace_shop, show_shop, show_shops, replace_item, show_item, show_items]
