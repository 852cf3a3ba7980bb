"""A shop to spend balances in: carts priced, orders placed at that price, paid, canceled; over HTTP."""

from __future__ import annotations

from itertools import count
from typing import Any

import httpx

from app.bootstrap import Services
from app.lib.postgres import transaction
from app.payments.aftermath import Aftermath
from app.payments.apply import apply_report
from app.payments.report import Decision, Report
from tests.balances.calls import Headers

_keys = count(1)


class Shop:
    """Buyer 42, unless `headers` say otherwise."""

    def __init__(self, services: Services, client: httpx.AsyncClient, headers: Headers) -> None:
        self.services, self.client, self.headers = services, client, headers

    async def price(self, *lines: tuple[str, int], **more: Any) -> dict[str, Any]:
        answer = await self.client.post(
            "/shopping/cal_price/v4_4", json=cart(lines, more), headers=self.headers
        )
        assert answer.status_code == 200, answer.text
        summary: dict[str, Any] = answer.json()
        return summary

    async def try_place(
        self, *lines: tuple[str, int], payable_minor: int, key: str | None = None, **more: Any
    ) -> httpx.Response:
        body = cart(lines, more) | {"payable_minor": payable_minor}
        headers = self.headers | {"idempotency-key": key or f"order-{next(_keys)}"}
        return await self.client.post("/shopping/cart/checkout/entries", json=body, headers=headers)

    async def place(self, *lines: tuple[str, int], **more: Any) -> dict[str, Any]:
        """An order at the price that was asked for a moment before."""
        summary = await self.price(*lines, **more)
        answer = await self.try_place(*lines, payable_minor=summary["payable_minor"], **more)
        assert answer.status_code == 201, answer.text
        placed: dict[str, Any] = answer.json()
        return placed

    async def cancel(self, order: dict[str, Any]) -> None:
        answer = await self.client.post(f"/shopping/orders/{order['order_id']}/cancel", headers=self.headers)
        assert answer.status_code < 300, answer.text

    async def pay(self, order: dict[str, Any]) -> int:
        """The channel says that the money is there; the payment's id."""
        services = self.services
        payment_id, now = services.ids.next(), services.clock.now()
        report = Report(payment_id, "captured", order["payable_minor"], "CNY")
        async with transaction(services.pool) as connection:
            await connection.execute(
                "INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, status,"
                " currency, amount_minor, created_at, updated_at)"
                " SELECT $1, order_id, buyer_id, 'sandbox', 'card',"
                " 'PENDING', currency, payable_minor, $3, $3 FROM orders WHERE order_id = $2",
                payment_id,
                int(order["order_id"]),
                now,
            )
            assert await apply_report(services, connection, report, Aftermath()) is Decision.PAY
        return payment_id

    async def points(self) -> dict[str, int]:
        shown = (await self.client.get("/points/balance", headers=self.headers)).json()
        return {name: shown[name] for name in ("available", "frozen", "owed")}

    async def card(self, code: str) -> int:
        balance: int = (await self.client.get(f"/gift_cards/{code}", headers=self.headers)).json()[
            "balance_minor"
        ]
        return balance

    async def packets(self) -> list[str]:
        shown = (await self.client.get("/red_packets", headers=self.headers)).json()["items"]
        return [each["status"] for each in shown]


def cart(lines: tuple[tuple[str, int], ...], more: dict[str, Any]) -> dict[str, Any]:
    named = [{"sku_id": sku_id, "quantity": quantity} for sku_id, quantity in lines]
    return {"currency": "CNY", "lines": named, **more}
