"""The calls that the tests of balances share: rules, points, cards, packets, and a shop to spend them in."""

from __future__ import annotations

from itertools import count
from typing import Any

import httpx

Headers = dict[str, str]
_keys = count(1)

RULES: dict[str, Any] = {
    "currencies": {"CNY": {"earn_bp": 100, "minor_per_point": 1}},
    "cap_bp": 5_000,
    "valid_days": 365,
    "pays_charges": False,
}


class Operator:
    """An operator's calls, each with a key of its own unless one is given."""

    def __init__(self, client: httpx.AsyncClient, headers: Headers) -> None:
        self.client, self.headers = client, headers

    async def post(self, path: str, key: str | None = None, **body: Any) -> httpx.Response:
        headers = self.headers | {"idempotency-key": key or f"key-{next(_keys)}"}
        return await self.client.post(path, json=body, headers=headers)

    async def put(self, path: str, **body: Any) -> httpx.Response:
        return await self.client.put(path, json=body, headers=self.headers)

    async def points_rules(self, **change: Any) -> None:
        answer = await self.put("/admin/points_rules", **RULES | change)
        assert answer.status_code == 200, answer.text

    async def grant(self, points: int, *user_ids: str, **more: Any) -> httpx.Response:
        return await self.post("/admin/points/grants", user_ids=user_ids or ("42",), points=points, **more)

    async def cards(self, amount_minor: int, count: int = 1, **more: Any) -> list[dict[str, str]]:
        """`card_id` and `code` of each."""
        body = {"amount_minor": amount_minor, "currency": "CNY", "count": count} | more
        answer = await self.post("/admin/gift_cards", **body)
        assert answer.status_code == 200, answer.text
        cards: list[dict[str, str]] = answer.json()["cards"]
        return cards

    async def pool(self, pool_id: str = "spring", funds_minor: int = 0, **change: Any) -> None:
        body = {"name": "Spring 红包", "currency": "CNY", "shop_id": None} | change
        answer = await self.put(f"/admin/red_packet_pools/{pool_id}", **body)
        assert answer.status_code == 200, answer.text
        if funds_minor:
            await self.post(f"/admin/red_packet_pools/{pool_id}/fund", amount_minor=funds_minor)

    async def send(
        self, amount_minor: int, *user_ids: str, pool_id: str = "spring", **more: Any
    ) -> httpx.Response:
        body = {"user_ids": user_ids or ("42",), "amount_minor": amount_minor} | more
        return await self.post(f"/admin/red_packet_pools/{pool_id}/send", **body)

    async def packet(self, amount_minor: int, **more: Any) -> str:
        """One packet for buyer 42, from the pool `spring`; its id."""
        answer = await self.send(amount_minor, **more)
        assert answer.status_code == 200, answer.text
        packet_id: str = answer.json()["packets"][0]["packet_id"]
        return packet_id
