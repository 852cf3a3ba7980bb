"""Buyers who all want the same thing at once, each as a careful app behaves.

Enters what they want and a number of buyers, leaves what each of them was told. A buyer has one
Idempotency-Key, a connection per try, and tries again with the same key when there was no answer or a 503,
until told 200, 201 or 409. Every answer is kept, so that a judge can compare them with the ledger.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec

from app.lib.auth import make_token
from app.settings import Settings

PATH = "/shopping/cart/checkout/entries"
CLAIM_PATH = "/coupon/claim"
# What an app waits for an answer; longer than the committer's tries (RETRY_FOR_S) and a statement timeout.
ANSWER_LIMIT_S = 20.0
# Tries of one buyer: with the waits between them far longer than any outage in these tests.
TRIES_MAX = 60
NO_ANSWER_WAIT_S = 0.2


@dataclass(frozen=True)
class Sale:
    """What is sold: one SKU at one price, and how many there are."""

    sku_id: str
    activity_id: str
    pool_id: int
    price_minor: int
    stock: int


@dataclass(frozen=True)
class Told:
    """One HTTP answer."""

    status: int
    code: str
    # what was placed or claimed
    made_id: str
    replayed: bool
    body: bytes
    retry_after_s: float


@dataclass
class Buyer:
    buyer_id: str
    key: str
    answers: list[Told] = field(default_factory=list)
    # tries that ended without an answer
    unanswered: int = 0

    @property
    def made_ids(self) -> set[str]:
        """The orders or coupons that the buyer was told of: one, if all is well."""
        return {told.made_id for told in self.answers if told.status in (200, 201)}

    @property
    def outcome(self) -> str:
        """What the buyer was told last: "placed", or a problem's code."""
        return self.answers[-1].code if self.answers else "no answer"


class Crowd:
    """`run` lets all buyers loose and returns when each has an outcome."""

    # Counts in the ledger what they have got of `subject`.
    progress: str

    def __init__(
        self, settings: Settings, name: str, subject: object, buyers: int, *, at_once: int | None = None
    ) -> None:
        """`at_once`: so many of them at a time, so that the sale lasts and has a middle; by default all."""
        self._settings = settings
        self.subject = subject
        self._at_once = asyncio.Semaphore(at_once or buyers)
        self.buyers = [Buyer(f"{name}-{n}", f"rush-{n}") for n in range(buyers)]

    def request(self, token: str, key: str) -> bytes:
        """The bytes of one buyer's call."""
        raise NotImplementedError

    @property
    def served(self) -> int:
        return sum(bool(buyer.made_ids) for buyer in self.buyers)

    @property
    def answered(self) -> int:
        return sum(bool(buyer.answers) for buyer in self.buyers)

    async def run(self, *, hang_up_first: bool = False) -> None:
        """`hang_up_first`: each buyer's first connection is closed as soon as the request is sent."""
        await asyncio.gather(*[self._buy(buyer, hang_up_first) for buyer in self.buyers])

    async def run_again(self) -> None:
        """Those who were refused try once more, with the same keys."""
        await asyncio.gather(*[self._buy(buyer) for buyer in self.buyers if not buyer.made_ids])

    async def _buy(self, buyer: Buyer, hang_up: bool = False) -> None:
        async with self._at_once:
            await self._try_until_told(buyer, hang_up)

    async def _try_until_told(self, buyer: Buyer, hang_up: bool) -> None:
        request = self.request(make_token(self._settings, sub=buyer.buyer_id, role="buyer"), buyer.key)
        for _ in range(TRIES_MAX):
            told = await (self._send_and_leave(request) if hang_up else self._ask(request))
            hang_up = False
            if told is None:
                buyer.unanswered += 1
                await asyncio.sleep(NO_ANSWER_WAIT_S)
                continue
            buyer.answers.append(told)
            if told.status != 503:
                return
            await asyncio.sleep(min(told.retry_after_s, NO_ANSWER_WAIT_S))
        raise AssertionError(f"{buyer} has no outcome after {TRIES_MAX} tries")

    async def _ask(self, request: bytes) -> Told | None:
        try:
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await ask(self._settings.port, request)
        except (OSError, EOFError, TimeoutError):
            return None

    async def _send_and_leave(self, request: bytes) -> Told | None:
        _, writer = await asyncio.open_connection("127.0.0.1", self._settings.port)
        writer.write(request)
        await writer.drain()
        writer.close()
        return None


class Rush(Crowd):
    """All of them want one unit of a sale."""

    progress = "SELECT reserved FROM stock_pool WHERE pool_id = $1"

    def __init__(self, settings: Settings, sale: Sale, buyers: int, *, at_once: int | None = None) -> None:
        super().__init__(settings, sale.activity_id, sale.pool_id, buyers, at_once=at_once)
        self.sale = sale

    def request(self, token: str, key: str) -> bytes:
        return checkout_request(self.sale, token, key)


class ClaimRush(Crowd):
    """All of them want a coupon of one template."""

    progress = "SELECT granted_count FROM coupon_template WHERE template_id = $1"

    def __init__(
        self, settings: Settings, template_id: str, buyers: int, *, at_once: int | None = None
    ) -> None:
        super().__init__(settings, template_id, template_id, buyers, at_once=at_once)
        self.template_id = template_id

    def request(self, token: str, key: str) -> bytes:
        return post(CLAIM_PATH, token, key, msgspec.json.encode({"template_id": self.template_id}))


def checkout_request(sale: Sale, token: str, key: str, *, price_minor: int | None = None) -> bytes:
    """The bytes of a call that buys one at the sale's price, or at another one."""
    body = msgspec.json.encode(
        {
            "currency": "CNY",
            "lines": [{"sku_id": sale.sku_id, "quantity": 1}],
            "payable_minor": sale.price_minor if price_minor is None else price_minor,
            "mode": "flash",
            "activity_id": sale.activity_id,
        }
    )
    return post(PATH, token, key, body)


def post(path: str, token: str, key: str, body: bytes) -> bytes:
    """The bytes of one call on a connection of its own."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: rushcart\r\nauthorization: Bearer {token}\r\n"
        f"idempotency-key: {key}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    )
    return head.encode() + body


async def ask(port: int, request: bytes) -> Told:
    """One request on a connection of its own. Raises OSError or EOFError when no answer comes.

    By hand, since two thousand at once through an HTTP library take longer than the sale itself.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in head[1:] if line)
        body = await reader.readexactly(int(headers["content-length"]))
    finally:
        writer.close()
    status, answer = int(head[0].split()[1]), msgspec.json.decode(body)
    return Told(
        status,
        answer.get("code", "placed"),
        answer.get("order_id") or answer.get("coupon_id", ""),
        headers.get("idempotent-replayed") == "true",
        body,
        float(headers.get("retry-after", 0)),
    )
