"""Addresses over HTTP: saved, changed, refused by region and by blocklist; each buyer's own."""

from typing import Any

import httpx
import pytest

from app.addresses.check import phone_digits
from app.addresses.schemas import ADDRESSES_PER_BUYER_MAX
from tests.conftest import Login

LIST, UPSERT = "/address-api/addresses/list", "/address-api/upsert"
HOME: dict[str, Any] = {
    "address_id": None, "name": "Lan", "phone": "+86 138 0000 0000", "country": "CN", "region": "CN-SH",
    "city": "上海", "street": "1 Nanjing Road", "postcode": "200001",
}  # fmt: skip


async def listed(client: httpx.AsyncClient, headers: dict[str, str]) -> list[dict[str, Any]]:
    answer = await client.get(LIST, headers=headers)
    assert answer.status_code == 200
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_an_address_is_saved_changed_and_listed(client: httpx.AsyncClient, login: Login) -> None:
    mine = login("42")
    saved = await client.post(UPSERT, json=HOME, headers=mine)
    assert saved.status_code == 200
    address_id = saved.json()["address_id"]
    assert saved.json() == HOME | {"address_id": address_id}
    moved = HOME | {"address_id": address_id, "region": "CN-BJ", "city": "北京"}
    assert (await client.post(UPSERT, json=moved, headers=mine)).json() == moved
    assert await listed(client, mine) == [moved]
    assert (await client.post(LIST, headers=mine)).json() == {"items": [moved], "next_cursor": None}


async def test_nobody_sees_or_changes_another_buyers_address(client: httpx.AsyncClient, login: Login) -> None:
    mine, other = login("42"), login("43")
    address_id = (await client.post(UPSERT, json=HOME, headers=mine)).json()["address_id"]
    assert await listed(client, other) == []
    for stolen in (address_id, "1", "x", "9" * 30):
        answer = await client.post(UPSERT, json=HOME | {"address_id": stolen, "name": "Eve"}, headers=other)
        assert (answer.status_code, answer.json()["code"]) == (404, "address_not_found")
    assert [address["name"] for address in await listed(client, mine)] == ["Lan"]


NOWHERE: list[tuple[dict[str, str], str]] = [
    ({"region": "CN-XX"}, "region"),
    ({"region": ""}, "region"),
    ({"region": "US-CA"}, "region"),
    ({"country": "US", "region": "US-ZZ", "postcode": ""}, "region"),
    ({"country": "FR", "region": "DE-BE"}, "region"),
    ({"country": "FR", "region": "FR-"}, "region"),
    ({"phone": "call me"}, "phone"),
    ({"phone": "12"}, "phone"),
    ({"phone": "1" * 16}, "phone"),
    ({"postcode": "12"}, "postcode"),
]


async def test_an_address_that_does_not_exist_is_refused(client: httpx.AsyncClient, login: Login) -> None:
    for change, field in NOWHERE:
        answer = await client.post(UPSERT, json=HOME | change, headers=login("42"))
        assert (answer.status_code, answer.json()["code"]) == (422, "address_invalid"), change
        assert answer.json()["field"] == field
    assert await listed(client, login("42")) == []


ELSEWHERE = [
    {"country": "US", "region": "US-CA", "postcode": "94105-1234", "phone": "(415) 555-0100"},
    {"country": "FR", "region": "FR-75C", "postcode": "75001"},
    {"country": "SG", "region": "", "postcode": "018956"},
    {"postcode": ""},
]


async def test_addresses_of_other_forms_and_countries_are_taken(
    client: httpx.AsyncClient, login: Login
) -> None:
    for change in ELSEWHERE:
        assert (await client.post(UPSERT, json=HOME | change, headers=login("42"))).status_code == 200, change


async def test_what_is_out_of_bounds_is_refused(client: httpx.AsyncClient, login: Login) -> None:
    changes = ({"name": ""}, {"country": "china"}, {"street": "x" * 256}, {"city": "a\nb"}, {"vip": True})
    for change in changes:
        answer = await client.post(UPSERT, json=HOME | change, headers=login("42"))
        assert answer.status_code == 400, change
    assert await listed(client, login("42")) == []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("phone", "13800000000"),
        ("phone", "+86-138-0000-0000"),
        ("region", "CN-SH"),
        ("region", "CN"),
        ("buyer", "42"),
    ],
)
async def test_nothing_is_saved_for_or_sent_to_who_is_on_the_blocklist(
    client: httpx.AsyncClient, login: Login, kind: str, value: str
) -> None:
    mine, op = login("42"), login("ann", "op")
    await client.post(UPSERT, json=HOME, headers=mine)
    entry = f"/admin/blocked_addresses/{kind}/{value}"
    for _ in range(2):
        assert (await client.put(entry, json={"reason": "fraud"}, headers=op)).status_code == 200
    refused = await client.post(UPSERT, json=HOME | {"name": "Lan 2"}, headers=mine)
    assert (refused.status_code, refused.json()["code"]) == (422, "address_blocked")
    assert [address["name"] for address in await listed(client, mine)] == ["Lan"]
    blocked = (await client.get(f"/admin/blocked_addresses/{kind}", headers=op)).json()["items"]
    assert [(one["kind"], one["reason"]) for one in blocked] == [(kind, "fraud")]

    assert (await client.delete(entry, headers=op)).status_code == 204
    assert (await client.post(UPSERT, json=HOME, headers=mine)).status_code == 200


async def test_only_an_operator_keeps_the_blocklist(client: httpx.AsyncClient, login: Login) -> None:
    for headers in (login("42"), login("m", "merchant", "7")):
        answer = await client.put("/admin/blocked_addresses/buyer/42", json={}, headers=headers)
        assert answer.status_code == 403
    op = login("ann", "op")
    assert (await client.put("/admin/blocked_addresses/planet/mars", json={}, headers=op)).status_code == 400
    assert (await client.get("/admin/blocked_addresses/buyer", headers=op)).json()["items"] == []


async def test_the_list_is_bounded_and_comes_in_pages(client: httpx.AsyncClient, login: Login) -> None:
    mine = login("42")
    for _ in range(ADDRESSES_PER_BUYER_MAX):
        assert (await client.post(UPSERT, json=HOME, headers=mine)).status_code == 200
    full = await client.post(UPSERT, json=HOME, headers=mine)
    assert (full.status_code, full.json()["code"]) == (409, "too_many_addresses")
    first = (await client.get(f"{LIST}?limit=49", headers=mine)).json()
    second = (await client.get(f"{LIST}?limit=49&cursor={first['next_cursor']}", headers=mine)).json()
    assert (len(first["items"]), len(second["items"]), second["next_cursor"]) == (49, 1, None)


@pytest.mark.parametrize(
    ("phone", "digits"),
    [
        ("+86 138 0000 0000", "13800000000"),
        ("0086-138-0000-0000", "13800000000"),
        ("138 0000 0000", "13800000000"),
        ("+1 (415) 555-0100", "4155550100"),
        ("(415) 555-0100", "4155550100"),
        ("+49 30 1234567", "49301234567"),
    ],
)
def test_a_phone_is_known_however_it_is_written(phone: str, digits: str) -> None:
    assert phone_digits(phone) == digits
