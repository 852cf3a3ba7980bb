"""Fill a running installation for a load: catalog, rules, buyers with an address and a coupon each.

Enters an installation that answers, leaves the buyers' tokens and the carts with the price that each buyer
would be shown. Everything goes through the ways that operators and buyers use (`rushcart import`, the admin
and buyer calls), so nothing under load is in a state that the service itself cannot make.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Iterable
from itertools import cycle
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from app.lib.auth import make_token
from app.runtime.children import PROGRAM, ROOT
from app.settings import Settings
from loadtest import goods, rules

# Each buyer stays below the default rate limit (100/s) up to 40,000 requests a second in all.
BUYERS = 400
# Those with many coupons: fewer, since each has twenty.
RULED_BUYERS = 100
# A process sees a change within a second; importing a hundred thousand SKUs makes that several.
VISIBLE_LIMIT_S = 30.0
CALLS_AT_ONCE = 16
CHECKOUT_PATH = "/shopping/cart/checkout/entries"
PRICE_PATH = "/shopping/cal_price/v4_4"
COUPONS_PATH = "/shopping/user_coupons_for_order"
GROUP_QUERY_PATH = "/groupbuy/campaigns/query"

Enters = TypeVar("Enters")
Leaves = TypeVar("Leaves")


class Buyer(msgspec.Struct, frozen=True):
    token: str
    address_id: str
    coupon_id: str


class Cart(msgspec.Struct, frozen=True):
    """`payable_minor` is without a coupon."""

    lines: list[dict[str, Any]]
    payable_minor: int


class Stage(msgspec.Struct, frozen=True):
    """Who buys what. `two_line` carts cover a thousand SKUs; the others are of one line each."""

    buyers: list[Buyer]
    two_line: list[Cart]
    hot: Cart
    sold_out: Cart
    # with many coupons each; the one they choose is for the carts of loadtest/rules.py
    ruled_buyers: list[Buyer] = []


def import_catalog(data_dir: Path, skus: int) -> None:
    """Load the catalog the way an operator does. Raises SystemExit with what the command said."""
    file = data_dir / "catalog.ndjson"
    goods.write_catalog(file, skus)
    command = [*PROGRAM, "import", "--data-dir", str(data_dir), str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    file.unlink()
    if done.returncode != 0:
        raise SystemExit(f"The catalog was not imported:\n{done.stdout}{done.stderr}")


class RefusedError(Exception):
    """A call that must succeed did not."""


def fill(base_url: str, settings: Settings, *, campaigns: bool = False) -> Stage:
    """Rules, buyers and carts of an imported catalog, and campaigns on demand: they are new ones each time.

    Raises SystemExit when a call is refused.
    """
    try:
        return asyncio.run(_fill(base_url, settings, campaigns=campaigns))
    except RefusedError as error:
        raise SystemExit(str(error)) from None


async def _fill(base_url: str, settings: Settings, *, campaigns: bool) -> Stage:
    # No proxy between us and ourselves.
    async with httpx.AsyncClient(base_url=base_url, timeout=30.0, trust_env=False) as http:
        await _put_rules(http, settings)
        tokens = [make_token(settings, sub=_buyer_id(n), role="buyer") for n in range(BUYERS)]
        two_line = [goods.cart_lines(n) for n in range(goods.CARTS)]
        await _wait_visible(http, tokens[0], two_line[-1])
        if campaigns:
            op = make_token(settings, sub="bench", role="op")
            await _each(lambda document: publish_campaign(http, op, document), goods.campaigns())
            found = await _call(http, op, "POST", GROUP_QUERY_PATH, {"item_ids": goods.asked_items(0)})
            if [each["item_id"] for each in found["items"]] != goods.asked_items(0):
                raise RefusedError(f"Not all items are on sale by group buying: {found}")
        # Each by another buyer, for the rate limit's sake.
        askers = zip(cycle(tokens), two_line, strict=False)
        carts = await _each(lambda asker: _priced_cart(http, *asker), askers)
        hot = await _priced_cart(http, tokens[0], [goods.line(goods.HOT_SKU)])
        sold_out = await _priced_cart(http, tokens[0], [goods.line(goods.SOLD_OUT_SKU)])
        buyers = await _each(lambda token: _buyer(http, token, two_line[0]), tokens)
        ruled_tokens = [
            make_token(settings, sub=_ruled_buyer_id(n), role="buyer") for n in range(RULED_BUYERS)
        ]
        ruled_lines = rules.cart_lines(0, rules.RULED_SKUS)
        ruled = await _each(lambda token: _buyer(http, token, ruled_lines), ruled_tokens)
    return Stage(buyers, carts, hot, sold_out, ruled)


def cart_body(lines: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
    return {"currency": goods.CURRENCY, "lines": lines, **members}


async def _put_rules(http: httpx.AsyncClient, settings: Settings) -> None:
    op = make_token(settings, sub="bench", role="op")
    buyer_ids = [_buyer_id(n) for n in range(BUYERS)]
    await _call(http, op, "PUT", f"/admin/promotions/{goods.PROMOTION_ID}", goods.promotion())
    template = f"/admin/coupon_templates/{goods.COUPON_TEMPLATE_ID}"
    await _call(http, op, "PUT", template, goods.coupon_template())
    await _call(http, op, "POST", f"{template}/grants", {"user_ids": buyer_ids})
    ruled_buyer_ids = [_ruled_buyer_id(n) for n in range(RULED_BUYERS)]
    for template_id, document in rules.coupon_templates().items():
        template = f"/admin/coupon_templates/{template_id}"
        await _call(http, op, "PUT", template, document)
        await _call(http, op, "POST", f"{template}/grants", {"user_ids": ruled_buyer_ids})


async def publish_campaign(http: httpx.AsyncClient, op: str, document: dict[str, Any]) -> Any:
    """As it is then."""
    campaign = await _call(http, op, "POST", "/merchant/campaigns", document)
    campaign_id = campaign["campaign_id"]
    await _call(http, op, "POST", f"/merchant/campaigns/{campaign_id}/submit", None)
    await _call(http, op, "POST", f"/op/campaigns/{campaign_id}/review", {"all": {"passed": True}})
    return await _call(http, op, "POST", f"/op/campaigns/{campaign_id}/publish", None)


async def _wait_visible(http: httpx.AsyncClient, token: str, lines: list[dict[str, Any]]) -> None:
    """Until this process prices the last of what was loaded, and finds the coupon."""
    async with asyncio.timeout(VISIBLE_LIMIT_S):
        while not (  # noqa: ASYNC110 - it is another process that changes
            await _has(http, token, PRICE_PATH, cart_body(lines), "applied")
            and await _has(http, token, COUPONS_PATH, cart_body(lines), "usable")
        ):
            await asyncio.sleep(0.1)


async def _has(http: httpx.AsyncClient, token: str, path: str, body: dict[str, Any], member: str) -> bool:
    answer = await http.post(path, json=body, headers=_bearer(token))
    return answer.is_success and bool(answer.json()[member])


async def _priced_cart(http: httpx.AsyncClient, token: str, lines: list[dict[str, Any]]) -> Cart:
    summary = await _call(http, token, "POST", PRICE_PATH, cart_body(lines))
    return Cart(lines, summary["payable_minor"])


async def _buyer(http: httpx.AsyncClient, token: str, lines: list[dict[str, Any]]) -> Buyer:
    """Give the buyer an address, and see that its coupon takes something off."""
    address = await _call(http, token, "POST", "/address-api/upsert", {
        "address_id": None, "name": "Li Lei", "phone": "13800138000", "country": "CN", "region": "CN-SH",
        "city": "Shanghai", "street": "1 Nanjing Road", "postcode": "200001"})  # fmt: skip
    coupons = await _call(http, token, "POST", COUPONS_PATH, cart_body(lines))
    coupon_id = coupons["usable"][0]["coupon_id"]
    summary = await _call(http, token, "POST", PRICE_PATH, cart_body(lines, coupon_ids=[coupon_id]))
    if not any(applied["rule_id"] == coupon_id for applied in summary["applied"]):
        raise RefusedError(f"The coupon does not apply: {summary['rejected']}")
    return Buyer(token, address["address_id"], coupon_id)


async def _call(http: httpx.AsyncClient, token: str, method: str, path: str, body: Any) -> Any:
    headers = _bearer(token) | {"Idempotency-Key": f"{method} {path}"}
    answer = await http.request(method, path, json=body, headers=headers)
    if not answer.is_success:
        raise RefusedError(f"{method} {path} was refused: {answer.status_code} {answer.text}")
    return answer.json()


async def _each(call: Callable[[Enters], Awaitable[Leaves]], values: Iterable[Enters]) -> list[Leaves]:
    """`call` on every value, `CALLS_AT_ONCE` at a time, in order."""
    places = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(value: Enters) -> Leaves:
        async with places:
            return await call(value)

    return await asyncio.gather(*(one(value) for value in values))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _ruled_buyer_id(number: int) -> str:
    return f"ruled-buyer-{number}"


def _buyer_id(number: int) -> str:
    return f"buyer-{number}"
