"""A show whose seats are sold by group buying."""

from __future__ import annotations

from typing import Any

from app.groups.settle import settle
from tests.groups.conftest import Shop, settings, shop

__all__ = ["Shop", "settings", "shop"]

SESSION = "2026-12-24 19:30"


def rows(*drawn: str) -> list[dict[str, Any]]:
    """Rows A, B, …: `.` is a seat, numbered from 1 in its row, a space is a gap."""
    made = []
    for name, row in zip("ABCDEFGH", drawn, strict=False):
        numbers = iter(range(1, len(row) + 1))
        seats = [str(next(numbers)) if place == "." else None for place in row]
        made.append({"row": name, "seats": seats})
    return made


async def put_item(shop: Shop, *sku_ids: str) -> None:
    await shop.call(shop.op, "PUT", "/admin/shops/7", {"name": "Hall", "currency": "CNY"})
    skus = [{"sku_id": each, "prices": {"CNY": {"price_minor": 10_000}}} for each in sku_ids or ("1001",)]
    item = {"shop_id": "7", "title": "Tea", "item_type": "virtual", "skus": skus}
    await shop.call(shop.op, "PUT", "/admin/items/tea", item)


async def put_seats(shop: Shop, *drawn: str, sku_id: str = "1001", status: int = 200, **fields: Any) -> Any:
    body = {"session": SESSION, "rows": rows(*drawn)} | fields
    return await shop.call(shop.merchant, "PUT", f"/admin/skus/{sku_id}/seats", body, status)


async def open_show(shop: Shop, *drawn: str, **fields: Any) -> None:
    """A published campaign of groups of three for as many tickets as there are seats."""
    await put_item(shop)
    await put_seats(shop, *drawn)
    await shop.open(**{"stock": sum(row.count(".") for row in drawn)} | fields)


async def full_group(shop: Shop, name: str, *quantities: int, **fields: Any) -> list[str]:
    """Its members' order ids; the first is the group's, too."""
    first = await shop.paid(f"{name}0", quantity=quantities[0], **fields)
    more = [
        await shop.paid(f"{name}{n}", first, quantity=quantity, **fields)
        for n, quantity in enumerate(quantities[1:], start=1)
    ]
    return [first, *more]


async def settle_one(shop: Shop, group_id: str) -> None:
    await settle(shop.services, [int(group_id)], shop.clock.now())


async def taken(shop: Shop, sku_id: str = "1001") -> dict[str, str]:
    """Seat (such as `A1`) and the order that has it."""
    seats = await shop.call(shop.op, "GET", f"/admin/skus/{sku_id}/seats")
    return {
        f"{row['row']}{seat['number']}": seat["order_id"] for row in seats["rows"] for seat in row["taken"]
    }
