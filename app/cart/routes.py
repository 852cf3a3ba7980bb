"""The cart's calls. Each answers with the cart as it is now."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import delete, get
from litestar.params import JSONBody, QueryParameter

from app.bootstrap import Services
from app.cart.entries import empty_cart, list_entries, remove_entries, set_entry
from app.cart.schemas import CART_ENTRIES_MAX, Entry, RemoveEntry, SetEntry
from app.dependencies import Buyer, ServicesDependency
from app.lib.errors import Conflict, NotFound
from app.lib.hot import HotRequest, HotRoute
from app.lib.idempotency import Answer
from app.lib.page import Page

_encode = msgspec.json.Encoder().encode
SkuIds = Annotated[list[str] | None, QueryParameter(name="sku_id", max_items=CART_ENTRIES_MAX)]


@get("/shopping/cart/entries")
async def show_cart(services: ServicesDependency, buyer: Buyer) -> Page[Entry]:
    return await list_entries(services.pool, buyer.sub)


async def set_cart_entry(services: Services, request: HotRequest[SetEntry]) -> Answer:
    """Sets the SKU's quantity; a repeat changes nothing."""
    assert request.caller is not None, "a buyer"
    now = services.clock.now()
    return Answer(200, _encode(await set_entry(services.pool, request.caller.sub, request.body, now)))


@delete("/shopping/cart/entries", status_code=200)
async def remove_cart_entries(
    services: ServicesDependency,
    buyer: Buyer,
    sku_ids: SkuIds = None,
    data: JSONBody[RemoveEntry | None] = None,
) -> Page[Entry]:
    """Takes out the body's `sku_id`, or `?sku_id=…` (may be repeated); without either the whole cart."""
    named = [*(sku_ids or ()), *([data.sku_id] if data else ())]
    if named:
        await remove_entries(services.pool, buyer.sub, named)
    else:
        await empty_cart(services.pool, buyer.sub)
    return await list_entries(services.pool, buyer.sub)


ROUTES = [show_cart, remove_cart_entries]
HOT_ROUTES = [
    HotRoute(
        "/shopping/cart/entries",
        SetEntry,
        Page[Entry],
        set_cart_entry,
        problems=((NotFound, "sku_not_found"), (Conflict, "cart_full")),
    )
]
