"""A provider that misbehaves as ordered, and keeps its word through a kill -9."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.process import SandboxProcess, Shop, wait_until
from tests.sandbox.test_payments import give_back, open_payment, press, status_of


async def order(client: httpx.AsyncClient, kind: str, reference: str, **extra: Any) -> None:
    response = await client.post("/control/faults", json={"kind": kind, "reference": reference} | extra)
    assert response.status_code == 204, response.text


async def test_a_refused_webhook_comes_again_until_it_is_accepted(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    payment = await open_payment(client, reference)
    shop.refuse = 2
    await press(client, payment, "decline")
    await wait_until(lambda: len(shop.about(reference)) == 3)
    assert len({event.body["event_id"] for event in shop.about(reference)}) == 1
    assert all(event.is_signed_with("test-event-secret") for event in shop.about(reference))


async def test_http_500_does_nothing_and_lost_reply_does_the_work(
    client: httpx.AsyncClient, reference: str
) -> None:
    await order(client, "http_500", reference, call="authorise")
    body = {"reference": reference, "amount_minor": 16000, "currency": "CNY"}
    assert (await client.post("/v1/payments", json=body)).status_code == 500
    assert (await client.get(f"/v1/payments/{reference}")).status_code == 404
    await order(client, "lost_reply", reference, call="authorise", delay_ms=60_000)
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/v1/payments", json=body, timeout=0.2)
    assert (await status_of(client, reference))["status"] == "pending"
    assert (await open_payment(client, reference))["psp_reference"]


async def test_webhooks_come_out_of_order_twice_or_never(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    await order(client, "webhook_late", reference, call="authorized", delay_ms=200)
    await order(client, "webhook_twice", reference, call="captured")
    await press(client, await open_payment(client, reference), "pay")
    await wait_until(lambda: len(shop.about(reference)) == 3)
    assert shop.statuses(reference) == ["captured", "captured", "authorized"]
    silent = reference + "s"
    await order(client, "webhook_never", silent, times=2)
    await press(client, await open_payment(client, silent), "pay")
    assert (await status_of(client, silent))["status"] == "captured"
    assert shop.about(silent) == []


async def test_a_webhook_can_lie_about_amount_and_currency(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    await order(client, "wrong_amount", reference, call="captured")
    await order(client, "wrong_currency", reference, call="authorized")
    await press(client, await open_payment(client, reference), "pay")
    await wait_until(lambda: len(shop.about(reference)) == 2)
    said = {e.body["data"]["status"]: e.body["data"] for e in shop.about(reference)}
    assert (said["captured"]["amount_minor"], said["captured"]["currency"]) == (15999, "CNY")
    assert (said["authorized"]["amount_minor"], said["authorized"]["currency"]) == (16000, "XXX")


async def test_a_refund_that_fails_gives_nothing_back(
    client: httpx.AsyncClient, shop: Shop, reference: str
) -> None:
    await order(client, "refund_fails", reference)
    await press(client, await open_payment(client, reference), "pay")
    assert (await give_back(client, reference, f"{reference}-r", 16000)).status_code == 201
    await wait_until(lambda: "failed" in shop.statuses(reference))
    payment = await status_of(client, reference)
    assert (payment["refunded_minor"], payment["refunds"][0]["status"]) == (0, "failed")
    assert (await give_back(client, reference, f"{reference}-r2", 16000)).status_code == 201
    assert (await status_of(client, reference))["refunded_minor"] == 16000


async def test_an_ordered_decline_beats_the_pay_button(client: httpx.AsyncClient, reference: str) -> None:
    await order(client, "decline", reference)
    payment = await open_payment(client, reference)
    await press(client, payment, "pay")
    assert (await status_of(client, reference))["status"] == "refused"


async def test_a_killed_provider_forgets_no_payment_and_no_webhook(another_folder: Path, shop: Shop) -> None:
    provider = SandboxProcess(another_folder, callback=shop.url)
    await provider.start()
    async with provider.client() as client:
        payment = await open_payment(client, "killed-1")
        await order(client, "webhook_late", "killed-1", times=2, delay_ms=500)
        await press(client, payment, "pay")
        provider.kill()
        assert shop.about("killed-1") == []
        await provider.start()
        assert (await status_of(client, "killed-1"))["status"] == "captured"
        await wait_until(lambda: len(shop.about("killed-1")) == 2)
    await asyncio.to_thread(provider.stop)
