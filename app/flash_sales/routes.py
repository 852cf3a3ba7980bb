"""Administration of flash sales: `op`, or `merchant` for its own shop's SKUs. A PUT may be repeated."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from app.dependencies import ServicesDependency, Staff
from app.flash_sales.documents import FlashSaleDocument, FlashSaleView
from app.flash_sales.publish import publish
from app.flash_sales.read import list_flash_sales, read_flash_sale
from app.lib.errors import Conflict, NotFound, Unprocessable
from app.lib.page import PAGE_LIMIT_DEFAULT, Page
from app.lib.parameters import Cursor, Limit, PathId

# 500 items with ids as long as they may be are 120 KB.
FLASH_SALE_BYTES_MAX = 256 << 10


@put(
    "/admin/flash_sales/{activity_id:str}",
    request_max_body_size=FLASH_SALE_BYTES_MAX,
    problems=(
        (NotFound, "sku_not_found"),
        (Conflict, "out_of_stock"),
        (Conflict, "below_reserved"),
        (Conflict, "flash_sale_open"),
        (Conflict, "flash_sale_ended"),
        (Unprocessable, "window_over"),
    ),
)
async def publish_flash_sale(
    activity_id: PathId, data: JSONBody[FlashSaleDocument], services: ServicesDependency, staff: Staff
) -> FlashSaleView:
    now = services.clock.now()
    sale = await publish(services.pool, services.gate, staff, activity_id, data, now)
    await services.prices.refresh()
    return sale


@get("/admin/flash_sales/{activity_id:str}", problems=((NotFound, "flash_sale_not_found"),))
async def show_flash_sale(
    activity_id: PathId,
    services: ServicesDependency,
    staff: Staff,  # noqa: ARG001 - asking for it refuses everybody else
) -> FlashSaleView:
    """Merchants may see each other's: buyers do as well."""
    return await read_flash_sale(services.pool, activity_id, services.clock.now())


@get("/admin/flash_sales")
async def show_flash_sales(
    services: ServicesDependency, staff: Staff, limit: Limit = PAGE_LIMIT_DEFAULT, cursor: Cursor = ""
) -> Page[FlashSaleView]:
    return await list_flash_sales(services.pool, staff.shop_id, cursor, limit, services.clock.now())


ROUTES = [publish_flash_sale, show_flash_sale, show_flash_sales]
