"""What the merchant may do, over HTTP against the real process."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.sandbox.process import Shop, wait_until


async def open_payment(client: httpx.AsyncClient, reference: str, **extra: Any) -> Any:
    body = {"reference": reference, "amount_minor": 16000, "currency": "CNY"} | extra
    response = await client.post("/v1/payments", json=body)
    assert response.status_code == 201, response.text
    return response.json()


async def press(client: httpx.AsyncClient, payment: Any, button: str) -> httpx.Response:
    return await client.post(payment["action"]["url"], data={"button": button})


async def give_back(
    client: httpx.AsyncClient, payment: str, reference: str, amount_minor: int
) -> httpx.Response:
    body = {"reference": reference, "amount_minor": amount_minor, "currency": "CNY"}
    return await client.post(f"/v1/payments/{payment}/refunds", json=body)


async def status_of(client: httpx.AsyncClient, reference: str) -> Any:
    return (await client.get(f"/v1/payments/{reference}")).json()


async def test_a_payment_is_opened_once_per_reference(client: httpx.AsyncClient, reference: str) -> None:
    first = await open_payment(client, reference)
    again = await open_payment(client, reference)
    assert first == again
    assert first["status"] == "pending"
    assert first["action"]["type"] == "redirect"
    assert first["action"]["url"].endswith(f"/pay/{first['psp_reference']}")


async def test_a_known_reference_with_another_amount_is_refused(
    client: httpx.AsyncClient, reference: str
) -> None:
    before = await open_payment(client, reference)
    body = {"reference": reference, "amount_minor": 1, "currency": "CNY"}
    refused = await client.post("/v1/payments", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "reference_reused")
    assert await status_of(client, reference) == before


async def test_paying_reports_authorized_and_captured_signed(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    payment = await open_payment(client, reference)
    response = await press(client, payment, "pay")
    assert response.status_code == 303
    await wait_until(lambda: len(shop.about(reference)) == 2)
    assert sorted(shop.statuses(reference)) == ["authorized", "captured"]
    event = shop.about(reference)[0]
    assert event.path == "/event/payment_notified_cm"
    assert event.is_signed_with("test-event-secret")
    assert not event.is_signed_with("another-secret")
    captured = next(e.body for e in shop.about(reference) if e.body["data"]["status"] == "captured")
    assert captured["type"] == "payment_notified_cm"
    assert captured["data"] == {
        "payment_id": reference,
        "psp_reference": payment["psp_reference"],
        "channel": "sandbox",
        "status": "captured",
        "amount_minor": 16000,
        "currency": "CNY",
    }
    assert (await status_of(client, reference))["captured_minor"] == 16000


async def test_a_declined_buyer_is_reported_and_may_try_again(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    payment = await open_payment(client, reference)
    await press(client, payment, "decline")
    await wait_until(lambda: shop.statuses(reference) == ["failed"])
    assert shop.about(reference)[0].path == "/event/payment_failed_cm"
    assert shop.about(reference)[0].body["data"]["reason"] == "The bank declined the payment"
    assert (await status_of(client, reference))["status"] == "refused"
    await press(client, payment, "pay")
    await wait_until(lambda: len(shop.about(reference)) == 3)
    assert (await status_of(client, reference))["status"] == "captured"


async def test_a_button_pressed_twice_pays_once(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    payment = await open_payment(client, reference)
    await asyncio.gather(*(press(client, payment, "pay") for _ in range(4)))
    await press(client, payment, "decline")
    assert (await status_of(client, reference))["status"] == "captured"
    await wait_until(lambda: len(shop.about(reference)) == 2)


async def test_manual_capture_waits_for_the_merchant(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    payment = await open_payment(client, reference, capture="manual")
    await press(client, payment, "pay")
    assert (await status_of(client, reference))["status"] == "authorized"
    body = {"reference": f"{reference}-c", "amount_minor": 16000, "currency": "CNY"}
    too_much = await client.post(f"/v1/payments/{reference}/captures", json=body | {"amount_minor": 16001})
    assert (too_much.status_code, too_much.json()["code"]) == (409, "amount_too_high")
    answers = await asyncio.gather(
        *(client.post(f"/v1/payments/{reference}/captures", json=body) for _ in range(2))
    )
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    await wait_until(lambda: sorted(shop.statuses(reference)) == ["authorized", "captured"])


async def test_canceled_is_never_paid_and_paid_is_never_canceled(
    client: httpx.AsyncClient, reference: str
) -> None:
    payment = await open_payment(client, reference)
    for _ in range(2):
        canceled = await client.post(f"/v1/payments/{reference}/cancels")
        assert (canceled.status_code, canceled.json()["status"]) == (200, "canceled")
    await press(client, payment, "pay")
    assert (await status_of(client, reference))["captured_minor"] == 0
    paid = await open_payment(client, reference + "p")
    await press(client, paid, "pay")
    refused = await client.post(f"/v1/payments/{reference}p/cancels")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")
    assert (await status_of(client, reference + "p"))["status"] == "captured"


async def test_a_refund_reference_gives_money_back_once(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    await press(client, await open_payment(client, reference), "pay")
    first = await give_back(client, reference, f"{reference}-r", 6000)
    again = await give_back(client, reference, f"{reference}-r", 6000)
    assert (first.status_code, first.json()) == (201, again.json())
    other = await give_back(client, reference, f"{reference}-r", 5000)
    assert (other.status_code, other.json()["code"]) == (422, "reference_reused")
    assert (await status_of(client, reference))["refunded_minor"] == 6000
    await wait_until(lambda: "succeeded" in shop.statuses(reference))
    event = next(e for e in shop.about(reference) if e.path == "/event/refund_notified")
    assert event.body["data"]["refund_id"] == f"{reference}-r"
    assert event.body["data"]["amount_minor"] == 6000


async def test_refunds_together_never_exceed_the_payment(client: httpx.AsyncClient, reference: str) -> None:
    await press(client, await open_payment(client, reference), "pay")
    answers = await asyncio.gather(
        *(give_back(client, reference, f"{reference}-{n}", 9000) for n in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert (await status_of(client, reference))["refunded_minor"] == 9000


async def test_what_is_not_paid_cannot_be_refunded(client: httpx.AsyncClient, reference: str) -> None:
    await open_payment(client, reference)
    refused = await give_back(client, reference, f"{reference}-r", 1)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_possible")


@pytest.mark.parametrize(
    "change",
    [
        {"amount_minor": 0},
        {"amount_minor": 1.5},
        {"amount_minor": 10**16},
        {"currency": "cny"},
        {"reference": ""},
        {"surprise": 1},
        {"notify_url": "ftp://shop"},
    ],
)
async def test_a_malformed_payment_is_refused(
    client: httpx.AsyncClient, reference: str, change: dict[str, Any]
) -> None:
    body = {"reference": reference, "amount_minor": 16000, "currency": "CNY"} | change
    assert (await client.post("/v1/payments", json=body)).status_code == 400
    assert (await client.get(f"/v1/payments/{reference}")).status_code == 404


async def test_calls_without_the_key_are_refused(client: httpx.AsyncClient, reference: str) -> None:
    body = {"reference": reference, "amount_minor": 16000, "currency": "CNY"}
    for headers in ({"X-API-Key": ""}, {"X-API-Key": "wrong"}):
        refused = await client.post("/v1/payments", json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorised")
    assert (await client.get(f"/v1/payments/{reference}")).status_code == 404
