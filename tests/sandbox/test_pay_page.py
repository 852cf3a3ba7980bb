"""The page that the buyer sees."""

import re

import httpx
import pytest

from app.sandbox.pay_page import format_amount
from tests.sandbox.test_payments import open_payment, press


def offered(page: str) -> list[str]:
    return re.findall(r'<button name="button" value="(\w+)"', page)


async def test_the_page_shows_the_amount_and_works_without_script(
    client: httpx.AsyncClient, reference: str
) -> None:
    payment = await open_payment(client, reference, return_url="https://shop.example/orders/1?a=1&b=2")
    page = await client.get(payment["action"]["url"], headers={"X-API-Key": ""})
    assert page.headers["content-type"].startswith("text/html")
    assert "160.00 CNY" in page.text
    assert '<form method="post">' in page.text
    assert "<script" not in page.text
    assert 'href="https://shop.example/orders/1?a=1&amp;b=2"' in page.text
    assert offered(page.text) == ["pay", "authorise", "decline"]


async def test_the_page_offers_only_what_can_still_be_done(client: httpx.AsyncClient, reference: str) -> None:
    payment = await open_payment(client, reference)
    url = payment["action"]["url"]
    await press(client, payment, "authorise")
    assert offered((await client.get(url)).text) == ["capture"]
    await press(client, payment, "capture")
    page = (await client.get(url)).text
    assert offered(page) == []
    assert "Paid. Thank you." in page


@pytest.mark.parametrize(
    "url", ["javascript://x%0aalert(1)", "JavaScript:alert(1)", "data:text/html,x", "/here"]
)
async def test_a_return_address_that_would_run_in_the_page_is_refused(
    client: httpx.AsyncClient, reference: str, url: str
) -> None:
    body = {"reference": reference, "amount_minor": 1, "currency": "CNY", "return_url": url}
    refused = await client.post("/v1/payments", json=body)
    assert (refused.status_code, refused.json()["code"]) == (422, "return_url_invalid")
    assert (await client.get(f"/v1/payments/{reference}")).status_code == 404


async def test_an_unknown_page_is_not_found(client: httpx.AsyncClient) -> None:
    assert (await client.get("/pay/AAAAAAAAAAAAAAAA")).status_code == 404


@pytest.mark.parametrize(
    ("amount_minor", "currency", "shown"),
    [(5, "CNY", "0.05 CNY"), (1234567, "JPY", "1,234,567 JPY"), (1234567, "KWD", "1,234.567 KWD")],
)
def test_amounts_are_shown_with_their_currencys_decimals(
    amount_minor: int, currency: str, shown: str
) -> None:
    assert format_amount(amount_minor, currency) == shown
