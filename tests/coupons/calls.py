"""The calls that the coupon tests share: one shop with one SKU at 100.00, a template, a cart of two."""

from __future__ import annotations

from typing import Any

import httpx

Headers = dict[str, str]

TEMPLATE: dict[str, Any] = {
    "name": "10 off",
    "valid_days": 7,
    "effect": {"kind": "amount_off", "amount_minor": 1000},
    "condition": {"min_amount_minor": 15_000},
}
CART: dict[str, Any] = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 2}]}


async def put_shop(client: httpx.AsyncClient, op: Headers) -> None:
    await client.put("/admin/shops/7", json={"name": "Lan's Tea", "currency": "CNY"}, headers=op)
    skus = [{"sku_id": "1001", "prices": {"CNY": {"price_minor": 10_000}}}]
    await client.put("/admin/items/tea", json={"shop_id": "7", "title": "Tea", "skus": skus}, headers=op)


async def put_template(client: httpx.AsyncClient, staff: Headers, template_id: str, **change: Any) -> None:
    url = f"/admin/coupon_templates/{template_id}"
    answer = await client.put(url, json=TEMPLATE | change, headers=staff)
    assert answer.status_code == 200, answer.text


async def grant(
    client: httpx.AsyncClient, staff: Headers, template_id: str, *user_ids: str, key: str = "k"
) -> httpx.Response:
    url = f"/admin/coupon_templates/{template_id}/grants"
    return await client.post(url, json={"user_ids": user_ids}, headers=staff | {"idempotency-key": key})


async def granted(client: httpx.AsyncClient, staff: Headers, template_id: str, user_id: str = "42") -> str:
    """One coupon for one buyer; its id."""
    answer = await grant(client, staff, template_id, user_id, key=f"{template_id}-{user_id}")
    assert answer.status_code == 200, answer.text
    coupon_id: str = answer.json()["coupons"][0]["coupon_id"]
    return coupon_id


async def redeem(
    client: httpx.AsyncClient, buyer: Headers, code: str, key: str = "k", **more: Any
) -> httpx.Response:
    headers = buyer | {"idempotency-key": key}
    return await client.post("/coupon/redeem", json={"code": code} | more, headers=headers)


async def cal_price(client: httpx.AsyncClient, buyer: Headers, **change: Any) -> dict[str, Any]:
    answer = await client.post("/shopping/cal_price/v4_4", json=CART | change, headers=buyer)
    assert answer.status_code == 200, answer.text
    summary: dict[str, Any] = answer.json()
    return summary


async def claim(
    client: httpx.AsyncClient, buyer: Headers, template_id: str, key: str = "k", **more: Any
) -> httpx.Response:
    body = {"template_id": template_id} | more
    return await client.post("/coupon/claim", json=body, headers=buyer | {"idempotency-key": key})
