"""Lists: a cursor that no list can have given is refused, whichever list it is."""

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


@pytest.mark.parametrize(
    "path",
    [
        "/admin/shops",
        "/admin/items",
        "/admin/freight_templates",
        "/admin/tax_rules",
        "/admin/flash_sales",
        "/admin/promotions",
        "/admin/coupon_templates",
        "/admin/coupon_templates/spring/codes",
        "/admin/blocked_addresses/phone",
        "/coupon/offers",
        "/groupbuy/campaigns?shop_id=7",
    ],
)
async def test_a_text_is_no_cursor_of_a_list_by_names(
    client: httpx.AsyncClient, login: Login, path: str
) -> None:
    headers, url = login("1", "op"), httpx.URL(path)
    document = {"name": "Spring", "effect": {"kind": "free_freight"}, "valid_days": 1}
    put = await client.put("/admin/coupon_templates/spring", json=document, headers=headers)
    assert put.status_code == 200
    for cursor in ("x", "spring", "1", "after:", "before:x", "after:" + "x" * 65, "after:x\n"):
        refused = await client.get(url.copy_merge_params({"cursor": cursor}), headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
        assert "cursor" in refused.json()["detail"]
    for cursor in ("after:zebra", "after:" + "茶" * 64):
        past_the_last = await client.get(url.copy_merge_params({"cursor": cursor}), headers=headers)
        assert past_the_last.json() == {"items": [], "next_cursor": None}


async def test_a_cursor_of_currencies_is_a_currency(client: httpx.AsyncClient, login: Login) -> None:
    headers = login("1", "op")
    for cursor in ("x", "cny", "CNYX", "CNY\n"):
        refused = await client.get("/admin/fx_rates", params={"cursor": cursor}, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert (await client.get("/admin/fx_rates?cursor=CNY", headers=headers)).json()["items"] == []
