"""What the tests of paying do over and over: pay, press, tell, wait, look."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from app.bootstrap import Services
from app.events_in.signature import sign
from tests.paid_orders import Line, Order, place
from tests.sandbox.process import SECRET

Condition = Callable[[], Awaitable[bool]]


async def until(condition: Condition, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


class Desk:
    """A buyer (42), the API in this process, the sandbox provider in its own."""

    def __init__(
        self,
        services: Services,
        client: httpx.AsyncClient,
        provider: httpx.AsyncClient,
        headers: dict[str, str],
    ) -> None:
        self.services, self.client, self.provider, self.headers = services, client, provider, headers

    async def place(self, *lines: Line) -> Order:
        return await place(self.services, list(lines) or [Line("1001", quantity=2)])

    async def pay(self, order: Order, *, key: str | None = None, **body: Any) -> httpx.Response:
        return await self.client.post(
            f"/shopping/orders/{order.order_id}/payments",
            json={"channel": "sandbox", "method": "card"} | body,
            headers=self.headers | {"Idempotency-Key": key or uuid4().hex},
        )

    async def start(self, order: Order) -> Any:
        """An attempt, opened at the provider."""
        response = await self.pay(order)
        assert response.status_code == 201, response.text
        return response.json()

    async def press(self, payment: Any, button: str = "pay") -> None:
        response = await self.provider.post(payment["action"]["url"], data={"button": button})
        assert response.status_code == 303, response.text

    async def fault(self, kind: str, reference: str | None = None, **more: Any) -> None:
        body = {"kind": kind, "reference": reference} | more
        assert (await self.provider.post("/control/faults", json=body)).status_code == 204

    async def paid_order(self, *lines: Line) -> tuple[Order, Any]:
        """An order that the provider has told us is paid."""
        order = await self.place(*lines)
        payment = await self.start(order)
        await self.press(payment)
        await until(self.is_paid(order))
        return order, payment

    async def tell(
        self,
        data: dict[str, Any],
        *,
        event_type: str = "payment_notified_cm",
        event_id: str | None = None,
        secret: str = SECRET,
    ) -> httpx.Response:
        """An event, signed as the provider would."""
        body = msgspec.json.encode(
            {
                "event_id": event_id or uuid4().hex,
                "type": event_type,
                "occurred_at": "2026-11-21T12:00:00Z",
                "data": data,
            }
        )
        now_s = int(self.services.clock.now().timestamp())
        headers = {"X-Signature": sign(secret, body, now_s), "Content-Type": "application/json"}
        path = event_type if event_type.startswith(("payment", "refund")) else "purchased"
        return await self.client.post(f"/event/{path}", content=body, headers=headers)

    def report(self, payment: Any, status: str, **change: Any) -> dict[str, Any]:
        """What a notification about an attempt of a 200.00 order says."""
        return {
            "payment_id": payment["payment_id"],
            "channel": "sandbox",
            "psp_reference": "PSP",
            "status": status,
            "amount_minor": 20_000,
            "currency": "CNY",
        } | change

    async def refund(self, order_id: int, *, key: str | None = None, **body: Any) -> httpx.Response:
        return await self.client.post(
            "/refund/refund",
            json={"order_id": str(order_id)} | body,
            headers=self.headers | {"Idempotency-Key": key or uuid4().hex},
        )

    async def value(self, query: str, *arguments: Any) -> Any:
        return await self.services.pool.fetchval(query, *arguments)

    async def order_status(self, order_id: int) -> Any:
        return await self.value("SELECT status FROM orders WHERE order_id = $1", order_id)

    async def payment_status(self, payment: Any) -> Any:
        return await self.value(
            "SELECT status FROM payment_order WHERE payment_id = $1", int(payment["payment_id"])
        )

    async def due(self, order: Order) -> tuple[Any, ...]:
        """(status, captured, refunding, refunded) of what is due for an order."""
        return tuple(
            await self.services.pool.fetchrow(
                "SELECT status, captured_minor, refunding_minor, refunded_minor FROM pay_order"
                " WHERE order_id = $1",
                order.order_id,
            )
        )

    async def stock(self, pool_id: int) -> tuple[Any, ...]:
        """(on_hand, reserved), after checking that the movements say the same."""
        pool = self.services.pool
        numbers = tuple(
            await pool.fetchrow("SELECT on_hand, reserved FROM stock_pool WHERE pool_id = $1", pool_id)
        )
        moved = tuple(
            await pool.fetchrow(
                "SELECT sum(on_hand_delta), sum(reserved_delta) FROM stock_movement WHERE pool_id = $1",
                pool_id,
            )
        )
        assert numbers == moved
        return numbers

    async def refunds(self, order: Order) -> list[tuple[Any, ...]]:
        """(cause, status, amount) of an order's refunds, oldest first."""
        rows = await self.services.pool.fetch(
            "SELECT cause, status, amount_minor FROM refund WHERE order_id = $1 ORDER BY refund_id",
            order.order_id,
        )
        return [tuple(row) for row in rows]

    async def topics(self, order_id: int) -> list[str]:
        rows = await self.services.pool.fetch(
            "SELECT topic FROM outbox WHERE aggregate_id = $1 ORDER BY event_id", order_id
        )
        return [row["topic"] for row in rows]

    async def at_provider(self, payment: Any) -> Any:
        return (await self.provider.get(f"/v1/payments/{payment['payment_id']}")).json()

    async def is_blocked(self) -> bool:
        """Whether somebody waits for a lock in this test's database."""
        return bool(
            await self.value(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        )

    def is_paid(self, order: Order) -> Condition:
        async def check() -> bool:
            return (await self.due(order))[0] == "PAID"

        return check

    def is_payment(self, payment: Any, status: str) -> Condition:
        async def check() -> bool:
            return bool(await self.payment_status(payment) == status)

        return check

    def are_refunds(self, order: Order, *statuses: str) -> Condition:
        async def check() -> bool:
            return [status for _, status, _ in await self.refunds(order)] == list(statuses)

        return check
