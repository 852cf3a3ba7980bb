"""Lists by id: a cursor that no list can have given is refused, whichever list it is."""

from __future__ import annotations

import httpx
import pytest

from tests.conftest import Login


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/shopping/orders", "buyer"),
        ("/shopping/coupons", "buyer"),
        ("/address-api/addresses/list", "buyer"),
        ("/points/entries", "buyer"),
        ("/red_packets", "buyer"),
        ("/groupbuy/orders", "buyer"),
        ("/admin/orders", "op"),
        ("/op/campaigns", "op"),
        ("/op/slots/changes", "op"),
    ],
)
async def test_a_cursor_that_is_none_is_refused(
    client: httpx.AsyncClient, login: Login, path: str, role: str
) -> None:
    headers = login("1", role)
    for cursor in ("x", "-1", "9" * 19, "1\n"):
        refused = await client.get(path, params={"cursor": cursor}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert (await client.get(path, params={"cursor": "1"}, headers=headers)).json()["items"] == []


async def test_a_cursor_of_currencies_is_a_currency(client: httpx.AsyncClient, login: Login) -> None:
    headers = login("1", "op")
    for cursor in ("x", "cny", "CNYX", "CNY\n"):
        refused = await client.get("/admin/fx_rates", params={"cursor": cursor}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert (await client.get("/admin/fx_rates?cursor=CNY", headers=headers)).json()["items"] == []
