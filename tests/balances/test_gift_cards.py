"""Gift cards over HTTP: issued once a key, seen by whoever has the code."""

from __future__ import annotations

import httpx

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.balances.calls import Operator
from tests.balances.conftest import Holds
from tests.conftest import Login


async def test_cards_are_issued_once_a_key_each_with_a_code_and_its_money(
    op: Operator, services: Services, login: Login, holds: Holds
) -> None:
    cards = await op.cards(5_000, count=3, key="k", valid_days=30)
    assert cards == await op.cards(5_000, count=3, key="k", valid_days=30)
    assert {len(each["code"]) for each in cards} == {16}
    assert len({each["code"] for each in cards}) == 3
    shown = (await op.client.get(f"/gift_cards/{cards[0]['code']}", headers=login("43"))).json()
    assert (shown["card_id"], shown["currency"]) == (cards[0]["card_id"], "CNY")
    assert (shown["amount_minor"], shown["balance_minor"]) == (5_000, 5_000)
    assert await holds("issued:gift_card") == -15_000
    await assert_audit_clean(services)


async def test_a_card_is_refused_without_a_key_a_right_or_sense(
    op: Operator, client: httpx.AsyncClient, login: Login, holds: Holds
) -> None:
    body = {"amount_minor": 100, "currency": "CNY"}
    keyless = await client.post("/admin/gift_cards", json=body, headers=op.headers)
    assert (keyless.status_code, keyless.json()["code"]) == (400, "idempotency_key_missing")
    for wrong in ({"amount_minor": 0}, {"currency": "XYZ"}, {"count": 1_001}, {"surprise": 1}):
        assert (await op.post("/admin/gift_cards", **body | wrong)).status_code == 400
    buyer = login() | {"idempotency-key": "k"}
    assert (await client.post("/admin/gift_cards", json=body, headers=buyer)).status_code == 403
    assert await holds("issued:gift_card") == 0


async def test_an_unknown_code_shows_nothing(op: Operator, login: Login) -> None:
    unknown = await op.client.get("/gift_cards/NOTHING", headers=login())
    assert (unknown.status_code, unknown.json()["code"]) == (404, "gift_card_not_found")
    assert (await op.client.get("/gift_cards/NOTHING")).status_code == 401
