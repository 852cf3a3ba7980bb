"""What a buyer may still buy in a sale with a limit per buyer (app/checkout/claims.py)."""

from __future__ import annotations

from collections.abc import Sequence

from app.checkout.errors import PurchaseLimitExceeded
from app.checkout.schemas import Checkout
from app.lib.postgres import Connection
from app.lib.sql import load
from app.stock.scripts import Want

sql = load("purchase_limits")

# (activity, SKU, buyer)
LimitKey = tuple[str, str, str]
# units that the buyer has taken
Limits = dict[LimitKey, int]


def wanted_by(checkout: Checkout) -> bool:
    return bool(_limited(checkout))


async def lock(connection: Connection, checkouts: Sequence[Checkout]) -> Limits:
    columns = [list(column) for column in zip(*_keys(checkouts), strict=True)]
    await connection.execute(sql.open_limits, *columns)
    rows = await connection.fetch(sql.lock_limits, *columns)
    return {(row["activity_id"], row["sku_id"], row["buyer_id"]): row["quantity"] for row in rows}


def refuse(checkout: Checkout, limits: Limits) -> PurchaseLimitExceeded | None:
    for want in _limited(checkout):
        if limits[_key(checkout, want)] + want.quantity > want.buyer_max:
            return PurchaseLimitExceeded(sku_ids=[want.sku_id], per_buyer_max=want.buyer_max)
    return None


def take(checkout: Checkout, limits: Limits) -> None:
    for want in _limited(checkout):
        limits[_key(checkout, want)] += want.quantity


async def write(connection: Connection, placed: Sequence[Checkout], limits: Limits) -> None:
    keys = _keys(placed)
    columns = map(list, zip(*keys, strict=True))
    await connection.execute(sql.raise_limits, *columns, [limits[key] for key in keys])


async def give_back(connection: Connection, order_ids: Sequence[int]) -> list[tuple[str, str, str, str, int]]:
    """These orders, children included, are canceled. Leaves (shop, activity, SKU, buyer, units)."""
    return [tuple(row) for row in await connection.fetch(sql.return_limits, order_ids)]


def _limited(checkout: Checkout) -> list[Want]:
    return [want for part in checkout.reservations for want in part.wants if want.buyer_max]


def _key(checkout: Checkout, want: Want) -> LimitKey:
    return checkout.activity_id, want.sku_id, checkout.buyer_id


def _keys(checkouts: Sequence[Checkout]) -> list[LimitKey]:
    return list({_key(each, want) for each in checkouts for want in _limited(each)})
