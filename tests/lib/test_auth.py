"""A token whose signature is right, and whose claims are not."""

import socket
import time

import httpx
import jwt
import pytest

from app.lib import auth
from app.lib.auth import Authenticator
from app.lib.clock import OffsetClock
from app.lib.errors import Unavailable
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


def test_where_the_issuers_keys_cannot_be_had_the_answer_is_503_and_the_next_one_does_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(auth, "JWKS_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/keys"
        authenticator = Authenticator(Settings(jwt_jwks_url=url), OffsetClock())
        token = jwt.encode({"sub": "42"}, "x" * 32, headers={"kid": "1"})
        for waits_s in (2, 0.1):
            started = time.monotonic()
            with pytest.raises(Unavailable) as refused:
                authenticator.caller(f"Bearer {token}")
            assert time.monotonic() - started < waits_s
            assert "127.0.0.1" not in str(refused.value)
