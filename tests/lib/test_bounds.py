"""Times come with any offset and are kept in UTC; where there is no such moment in UTC they are refused."""

from typing import Any

import httpx
import msgspec
import pytest

from app.events_in.signature import sign
from app.lib.clock import OffsetClock
from app.settings import DEMO_EVENT_SECRET
from tests.conftest import Login

BEFORE_ALL, AFTER_ALL = "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"
# What the driver writes as -infinity and infinity, and reads back without a zone.
FIRST_OF_ALL, LAST_OF_ALL = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
NOON, NOON_IN_SHANGHAI = "2040-01-01T12:00:00Z", "2040-01-01T20:00:00+08:00"
EFFECT = {"kind": "amount_off", "amount_minor": 1, "per": "order"}
ITEM = {"sku_id": "1001", "currency": "CNY", "price_minor": 1, "quantity": 1}
DOCUMENTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("promotions", {"name": "p", "lane": "platform", "effect": EFFECT}, "starts_at", "ends_at"),
    ("coupon_templates", {"name": "c", "effect": EFFECT}, "valid_from", "valid_to"),
    ("flash_sales", {"name": "f", "items": [ITEM]}, "starts_at", "ends_at"),
]


@pytest.mark.parametrize(("path", "document", "start", "end"), DOCUMENTS)
async def test_a_time_that_utc_does_not_have_is_refused(
    client: httpx.AsyncClient, login: Login, path: str, document: dict[str, Any], start: str, end: str
) -> None:
    for first, last in ((BEFORE_ALL, NOON), (NOON, AFTER_ALL), (FIRST_OF_ALL, NOON), (NOON, LAST_OF_ALL)):
        body = document | {start: first, end: last}
        answer = await client.put(f"/admin/{path}/x", json=body, headers=login("ann", "op"))
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        assert answer.json()["detail"].startswith("a time is out of bounds")


@pytest.mark.parametrize(("path", "document", "start", "end"), DOCUMENTS[:2])
async def test_a_time_is_answered_in_utc(
    client: httpx.AsyncClient, login: Login, path: str, document: dict[str, Any], start: str, end: str
) -> None:
    body = document | {start: NOON_IN_SHANGHAI, end: "2040-01-02T00:00:00+08:00"}
    answer = await client.put(f"/admin/{path}/x", json=body, headers=login("ann", "op"))
    assert (answer.json()[start], answer.json()[end]) == (NOON, "2040-01-01T16:00:00Z")


async def test_an_event_of_no_time_in_utc_is_refused(client: httpx.AsyncClient, clock: OffsetClock) -> None:
    for time in (BEFORE_ALL, AFTER_ALL, FIRST_OF_ALL, LAST_OF_ALL):
        event = {"event_id": "e", "type": "parcel_seen", "occurred_at": time, "data": {}}
        body = msgspec.json.encode(event)
        signature = sign(DEMO_EVENT_SECRET, body, int(clock.now().timestamp()))
        answer = await client.post("/event/purchased", content=body, headers={"X-Signature": signature})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
