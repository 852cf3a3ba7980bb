"""Lists by id: a cursor that no list has given is refused, whichever list it is."""

from __future__ import annotations

import httpx
import pytest

from tests.conftest import Login


@pytest.mark.parametrize(
    "path",
    [
        "/shopping/orders",
        "/shopping/coupons",
        "/address-api/addresses/list",
        "/points/entries",
        "/red_packets",
    ],
)
async def test_a_cursor_that_is_none_is_refused(client: httpx.AsyncClient, login: Login, path: str) -> None:
    for cursor in ("x", "-1", "9" * 19, "1\n"):
        refused = await client.get(path, params={"cursor": cursor}, headers=login())
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert (await client.get(path, params={"cursor": "1"}, headers=login())).json()["items"] == []
