"""What buyers do, for Locust: look at prices, compare coupons, fill the cart, order, pay, read their orders.

In: the stage (buyers, carts) in the file that loadtest/traffic.py names. Out: the figures, in another one.
Each task is one request, so that the sum of the users' rates is the rate of requests. Bodies are encoded
before the load where they can be: this process shares the machine with what it measures. A checkout that is
answered 201 is paid by later tasks: the payment is asked for, then the provider's button is pressed.
"""

from __future__ import annotations

import itertools
import os
import random
from collections import deque
from pathlib import Path
from typing import Any
from uuid import uuid4

import gevent
import msgspec
from locust import FastHttpUser, constant_throughput, events, task
from locust.env import Environment
from locust.stats import StatsEntry

from loadtest.stage import CHECKOUT_PATH, COUPONS_PATH, PRICE_PATH, Stage, cart_body
from loadtest.traffic import (
    FIGURES_VARIABLE,
    REQUESTS_PER_USER_S,
    STAGE_VARIABLE,
    CallFigures,
    Figures,
)

stage = msgspec.json.decode(Path(os.environ[STAGE_VARIABLE]).read_bytes(), type=Stage)
numbers = itertools.count()
# SKUs in a buyer's cart: what a screen or two shows, far below what a cart holds.
CARTS_WANTED = 40
JSON = {"Content-Type": "application/json"}


def encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


PAY = encode({"channel": "sandbox", "method": "card", "return_url": None})


class PreparedCart(msgspec.Struct, frozen=True):
    """A cart's bodies; `checkout` still lacks the address."""

    prices: str
    entry: str
    checkout: dict[str, Any]


def _prepared() -> list[PreparedCart]:
    return [
        PreparedCart(
            encode(cart_body(cart.lines)),
            encode(cart.lines[0]),
            cart_body(cart.lines, payable_minor=cart.payable_minor),
        )
        for cart in stage.two_line
    ]


carts = _prepared()
# With a number behind it, a key that was never used before, in no other run either.
run_name = uuid4().hex


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # Locust's
def write_figures(environment: Environment, **_: Any) -> None:
    stats = environment.stats
    calls = [_figures(entry) for _, entry in sorted(stats.entries.items())]
    errors = [f"{each.occurrences} × {each.name}: {each.error}" for each in stats.errors.values()]
    figures = Figures(calls, _figures(stats.total), errors)
    Path(os.environ[FIGURES_VARIABLE]).write_bytes(msgspec.json.encode(figures))


def _figures(entry: StatsEntry) -> CallFigures:
    percentiles = [float(entry.get_response_time_percentile(share)) for share in (0.5, 0.95, 0.99)]
    return CallFigures(entry.name, entry.num_requests, entry.num_failures, entry.total_rps, *percentiles)


class Shopper(FastHttpUser):
    """One buyer; several users may share one, as a buyer with two devices."""

    wait_time = constant_throughput(REQUESTS_PER_USER_S)
    network_timeout = 10.0
    connection_timeout = 10.0

    def on_start(self) -> None:
        self.buyer = stage.buyers[next(numbers) % len(stage.buyers)]
        self.login = JSON | {"Authorization": f"Bearer {self.buyer.token}"}
        self.unpaid: deque[str] = deque(maxlen=20)
        self.pay_pages: deque[str] = deque(maxlen=20)
        self.last_order = ""
        # Nobody empties a cart: all want the same few, or it would be full after some minutes.
        self.wanted = carts[:CARTS_WANTED]
        # Users are started together; without this they would knock together for ever.
        gevent.sleep(random.random() / REQUESTS_PER_USER_S)

    @task(18)
    def browse(self) -> None:
        """Prices for somebody who has not logged in."""
        self.client.post(PRICE_PATH, data=random.choice(carts).prices, headers=JSON, name="browse")

    @task(24)
    def price(self) -> None:
        lines = random.choice(stage.two_line).lines
        self._post("price", PRICE_PATH, encode(cart_body(lines, coupon_ids=[self.buyer.coupon_id])))

    @task(10)
    def coupons(self) -> None:
        self._post("coupons", COUPONS_PATH, random.choice(carts).prices)

    @task(8)
    def put_into_cart(self) -> None:
        self._post("cart", "/shopping/cart/entries", random.choice(self.wanted).entry)

    @task(15)
    def checkout(self) -> None:
        body = encode(random.choice(carts).checkout | {"address_id": self.buyer.address_id})
        placed = self._once("checkout", CHECKOUT_PATH, body)
        if placed is not None:
            self.last_order = placed["order_id"]
            self.unpaid.append(self.last_order)

    @task(10)
    def pay(self) -> None:
        if self.pay_pages:
            self._press_pay(self.pay_pages.popleft())
        elif self.unpaid:
            path = f"/shopping/orders/{self.unpaid.popleft()}/payments"
            payment = self._once("pay", path, PAY)
            if payment is not None:
                self.pay_pages.append(payment["action"]["url"])
        else:
            self.checkout()

    @task(10)
    def list_orders(self) -> None:
        self.client.get("/shopping/orders?limit=20", name="orders", headers=self.login)

    @task(5)
    def read_order(self) -> None:
        if self.last_order:
            self.client.get(f"/shopping/orders/{self.last_order}", name="order", headers=self.login)
        else:
            self.list_orders()

    def _post(self, name: str, path: str, body: str, **headers: str) -> Any:
        return self.client.post(path, data=body, headers=self.login | headers, name=name)

    def _once(self, name: str, path: str, body: str) -> Any:
        """The decoded answer of a call with a key, or None: then Locust has counted a failure."""
        key = f"{run_name}-{next(numbers)}"
        answer = self._post(name, path, body, **{"Idempotency-Key": key})
        return msgspec.json.decode(answer.content) if answer.ok else None

    def _press_pay(self, url: str) -> None:
        """On the provider's own page; its answer is a redirect to the same page."""
        self.client.post(url, data={"button": "pay"}, name="pay page (provider)", allow_redirects=False)
