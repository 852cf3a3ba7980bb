"""A token whose signature is right, and whose claims are not."""

import time

import httpx
import jwt
import pytest

from app.settings import Settings

CART = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 1}]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"exp": 10**400},
        {"exp": "tomorrow"},
        {"role": ["op"]},
        {"role": {}},
        {"role": None},
        {"role": "admin"},
        {"sub": ""},
        {"sub": "x" * 65},
        {"sub": "a\0b"},
        {"role": "merchant"},
        {"role": "merchant", "shop_id": ""},
        {"role": "merchant", "shop_id": 7},
        {"role": "merchant", "shop_id": "x" * 65},
    ],
)
async def test_wrong_claims_are_refused(
    client: httpx.AsyncClient, settings: Settings, wrong: dict[str, object]
) -> None:
    claims = {"sub": "ann", "role": "op", "exp": int(time.time()) + 60} | wrong
    headers = {"authorization": f"Bearer {jwt.encode(claims, settings.jwt_secret, algorithm='HS256')}"}
    for answer in (
        await client.post("/shopping/cal_price/v4_4", json=CART, headers=headers),
        await client.get("/admin/promotions", headers=headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
