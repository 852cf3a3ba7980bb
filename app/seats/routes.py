"""The map of a SKU's seats: `op`, or `merchant` for its own shop. The PUT may be repeated."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from app.dependencies import ServicesDependency, Staff
from app.lib.errors import NotFound
from app.lib.parameters import PathId
from app.seats.errors import SeatsGiven, SeatsOfOtherSku, TooFewSeats
from app.seats.read import show_map
from app.seats.replace import replace
from app.seats.schemas import SeatMapDocument, SeatMapView

# 10,000 seats with numbers as long as they may be are 200 KB.
SEAT_MAP_BYTES_MAX = 256 << 10
SKU_NOT_FOUND = (NotFound, "sku_not_found")


@put(
    "/admin/skus/{sku_id:str}/seats",
    request_max_body_size=SEAT_MAP_BYTES_MAX,
    problems=(SKU_NOT_FOUND, SeatsOfOtherSku, SeatsGiven, TooFewSeats),
)
async def replace_seats(
    sku_id: PathId, data: JSONBody[SeatMapDocument], services: ServicesDependency, staff: Staff
) -> SeatMapView:
    """Groups that succeed get seats of this map: together, the best row first. What is taken stays taken.

    The map holds what group buying may give: as many seats as campaigns sell of the SKU, or more. Without
    rows the SKU is not seated any more.
    """
    return await replace(services.pool, staff, sku_id, data)


@get("/admin/skus/{sku_id:str}/seats", problems=(SKU_NOT_FOUND,))
async def show_seats(sku_id: PathId, services: ServicesDependency, staff: Staff) -> SeatMapView:
    """Row by row, with the orders that have a seat."""
    return await show_map(services.pool, staff, sku_id)


ROUTES = [replace_seats, show_seats]
