"""Administration of buyers: `op`, or a `service` such as the membership system. A PUT may be repeated."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from app.buyers.schemas import BuyerDocument, KnownBuyer
from app.buyers.tag import put_buyer, read_buyer
from app.dependencies import AnyCaller, ServicesDependency
from app.lib.parameters import PathId

ROLES = ("op", "service")


@put("/admin/buyers/{buyer_id:str}", roles=ROLES)
async def replace_buyer(
    buyer_id: PathId, data: JSONBody[BuyerDocument], services: ServicesDependency, caller: AnyCaller
) -> KnownBuyer:
    """Sets all tags of the buyer; rules and member prices see them at once."""
    caller.require(*ROLES)
    return await put_buyer(services.pool, buyer_id, data)


@get("/admin/buyers/{buyer_id:str}", roles=ROLES)
async def show_buyer(buyer_id: PathId, services: ServicesDependency, caller: AnyCaller) -> KnownBuyer:
    caller.require(*ROLES)
    return await read_buyer(services.pool, buyer_id)


ROUTES = [replace_buyer, show_buyer]
