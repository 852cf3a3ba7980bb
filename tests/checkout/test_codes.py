"""Orders that take codes along: redeemed with the order, once, for who may have them, or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.coupons.reconcile import measure_coupon_drift
from app.lib.clock import OffsetClock
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.coupons.calls import CART, cal_price, claim, granted, put_template, redeem
from tests.coupons.test_claim_regions import lives
from tests.rows import put_sku

PATH = "/shopping/cart/checkout/entries"
NOBODY: dict[str, str] = {}
# No relay runs beside these tests.
UNEXPORTED = ("waiting_outbox",)
Checkout = Callable[..., Awaitable[httpx.Response]]


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def sku(services: Services) -> None:
    """Goods at 100.00 that need no address."""
    await put_sku(services.pool, on_hand=1_000)
    await services.prices.refresh()


@pytest.fixture
def checkout(client: httpx.AsyncClient, login: Login) -> Checkout:
    async def call(
        payable_minor: int, *codes: str, buyer_id: str = "42", key: str = "k", **more: Any
    ) -> httpx.Response:
        body = CART | {"payable_minor": payable_minor, "coupon_codes": codes} | more
        return await client.post(PATH, json=body, headers=login(buyer_id) | {"idempotency-key": key})

    return call


async def coupons(services: Services) -> list[tuple[str, str, str]]:
    """(buyer, template, status) of every coupon."""
    rows = await services.pool.fetch(
        "SELECT buyer_id, template_id, status FROM coupon ORDER BY buyer_id, coupon_id"
    )
    return [tuple(row) for row in rows]


async def assert_nothing_changed(services: Services) -> None:
    counts = """SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM coupon),
        (SELECT count(coupon_id) FROM coupon_code), (SELECT sum(granted_count) FROM coupon_template),
        (SELECT count(*) FROM idempotency WHERE call = 'checkout/entries'),
        (SELECT sum(reserved) FROM stock_pool)"""
    assert tuple(await services.pool.fetchrow(counts)) == (0, 0, 0, 0, 0, 0)


async def one_time(services: Services) -> str:
    code: str = await services.pool.fetchval("SELECT code FROM coupon_code ORDER BY code LIMIT 1")
    return code


def reasons(refused: httpx.Response) -> list[tuple[str, str]]:
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed"), refused.text
    return [(each["rule_id"], each["code"]) for each in refused.json()["summary"]["rejected"]]


@pytest.mark.parametrize("kind", ["shared", "one-time"])
async def test_an_order_redeems_its_code_and_holds_the_coupon(
    client: httpx.AsyncClient,
    services: Services,
    op: dict[str, str],
    login: Login,
    checkout: Checkout,
    kind: str,
) -> None:
    await put_template(client, op, "t", **{"code": "TEA"} if kind == "shared" else {"codes_count": 1})
    code = "TEA" if kind == "shared" else await one_time(services)
    shown = await cal_price(client, NOBODY, coupon_codes=[code])

    placed = await checkout(shown["payable_minor"], code)

    assert (placed.status_code, placed.json()["payable_minor"]) == (201, 19_000)
    order_id = placed.json()["order_id"]
    [coupon] = await services.pool.fetch(
        "SELECT coupon_id::text, buyer_id, status, order_id::text FROM coupon"
    )
    assert (coupon["buyer_id"], coupon["status"], coupon["order_id"]) == ("42", "locked", order_id)
    given = {"kind": "coupon", "rule_id": coupon["coupon_id"], "name": "10 off", "amount_minor": 1_000}
    assert await services.pool.fetchval("SELECT discounts FROM order_line") == [given]
    again = await checkout(shown["payable_minor"], code)
    assert (again.content, again.headers["idempotent-replayed"]) == (placed.content, "true")
    replay = (await client.get(f"/admin/orders/{order_id}/pricing", headers=op)).json()
    assert (replay["matches"], replay["adds_up"], replay["differences"]) == (True, True, [])
    await assert_audit_clean(services, except_for=UNEXPORTED)
    # Canceled, the coupon is the buyer's; a one-time code has become it for good.
    assert (await client.post(f"/shopping/orders/{order_id}/cancel", headers=login())).status_code == 200
    assert await coupons(services) == [("42", "t", "available")]
    held = await cal_price(client, login(), coupon_ids=[coupon["coupon_id"]])
    assert held["payable_minor"] == 19_000
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_a_code_that_gives_nothing_is_not_redeemed(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], checkout: Checkout
) -> None:
    await put_template(client, op, "t", codes_count=1, condition={"min_amount_minor": 90_000})
    code = await one_time(services)
    placed = await checkout(20_000, code, "UNKNOWN")
    assert (placed.status_code, await coupons(services)) == (201, [])
    assert await services.pool.fetchval("SELECT discounts FROM order_line") is None
    assert await services.pool.fetchval("SELECT coupon_id FROM coupon_code") is None
    order_id = placed.json()["order_id"]
    replay = (await client.get(f"/admin/orders/{order_id}/pricing", headers=op)).json()
    assert (replay["matches"], replay["priced_with"][3]) == (True, [])  # no coupon


async def test_a_code_and_a_coupon_go_into_one_order(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA", per_buyer_max=1)
    await put_template(client, op, "u", code="CUP", effect={"kind": "percent_off", "percent_bp": 1_000})
    coupon_id = (await redeem(client, login(), "TEA")).json()["coupon_id"]
    summary = await cal_price(client, login(), coupon_ids=[coupon_id], coupon_codes=["CUP"])
    placed = await checkout(summary["payable_minor"], "CUP", coupon_ids=[coupon_id])
    assert (placed.status_code, placed.json()["payable_minor"]) == (201, 17_100)
    assert await coupons(services) == [("42", "t", "locked"), ("42", "u", "locked")]
    await assert_audit_clean(services, except_for=UNEXPORTED)


@pytest.mark.parametrize(("ends_at", "payable_minor"), [("2100-01-01", 17_100), ("2099-01-01", 17_000)])
async def test_a_code_keeps_its_place_among_the_coupons_when_it_becomes_one(
    client: httpx.AsyncClient,
    services: Services,
    op: dict[str, str],
    login: Login,
    checkout: Checkout,
    ends_at: str,
    payable_minor: int,
) -> None:
    """Before the other where it ends sooner, after it where both end together, whatever the code is."""
    tenth = {"kind": "percent_off", "percent_bp": 1_000}
    await put_template(client, op, "t", valid_days=None, valid_to="2100-01-01T00:00:00Z")
    coupon_id = await granted(client, op, "t")
    until = {"valid_days": None, "valid_to": f"{ends_at}T00:00:00Z"}
    await put_template(client, op, "u", code="0A", effect=tenth, **until)
    named = {"coupon_ids": [coupon_id], "coupon_codes": ["0A"]}
    assert (await cal_price(client, login(), **named))["payable_minor"] == payable_minor
    placed = await checkout(payable_minor, "0A", coupon_ids=[coupon_id])
    assert placed.status_code == 201, placed.text
    order = placed.json()["order_id"]
    assert (await client.get(f"/admin/orders/{order}/pricing", headers=op)).json()["matches"] is True
    assert (await client.post(f"/shopping/orders/{order}/cancel", headers=login())).status_code == 200
    summary = await cal_price(client, login(), auto_coupons=True)
    assert (summary["payable_minor"], len(summary["applied"])) == (payable_minor, 2)


async def test_an_order_that_comes_to_nothing_by_a_code_is_paid_and_the_coupon_used(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], checkout: Checkout
) -> None:
    free = {"effect": {"kind": "percent_off", "percent_bp": 10_000}, "limits": {"uses_per_buyer_max": 1}}
    await put_template(client, op, "t", codes_count=1, **free)
    placed = await checkout(0, await one_time(services))
    assert (placed.status_code, placed.json()["status"]) == (201, "PENDING_SHIPMENT")
    assert await coupons(services) == [("42", "t", "used")]
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_what_was_priced_without_login_is_refused_to_a_buyer_who_has_had_their_share(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA", per_buyer_max=1)
    shown = await cal_price(client, NOBODY, coupon_codes=["TEA"])
    assert (await redeem(client, login(), "TEA")).status_code == 200
    refused = await checkout(19_000, "TEA", quote_id=shown["quote_id"])
    assert reasons(refused) == [("TEA", "per_buyer_max_reached")]
    assert refused.json()["summary"]["payable_minor"] == 20_000
    assert refused.json()["difference"][0] == {
        "field": "payable_minor",
        "was_minor": 19_000,
        "now_minor": 20_000,
    }
    assert await coupons(services) == [("42", "t", "available")]
    other = await checkout(19_000, "TEA", buyer_id="43", quote_id=shown["quote_id"])
    assert other.status_code == 201


async def test_a_quote_keeps_the_price_of_a_code_though_its_template_has_changed(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA", per_buyer_max=1)
    shown = await cal_price(client, NOBODY, coupon_codes=["TEA"])
    await put_template(client, op, "t", code="TEA", effect={"kind": "amount_off", "amount_minor": 500})
    placed = await checkout(19_000, "TEA", quote_id=shown["quote_id"])
    assert (placed.status_code, placed.json()["payable_minor"]) == (201, 19_000)
    assert await coupons(services) == [("42", "t", "locked")]
    await assert_audit_clean(services, except_for=UNEXPORTED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"code": None}, "code_not_found"),
        ({"claim_regions": ["SG"]}, "region_not_served"),
        ({"valid_days": None, "valid_to": "2021-01-01T00:00:00Z"}, "coupons_ended"),
        ({"valid_from": "2099-01-01T00:00:00Z"}, "not_started"),
    ],
)
async def test_a_quote_does_not_keep_a_code_that_can_be_redeemed_no_more(
    client: httpx.AsyncClient,
    services: Services,
    op: dict[str, str],
    checkout: Checkout,
    change: dict[str, Any],
    reason: str,
) -> None:
    await put_template(client, op, "t", code="TEA")
    shown = await cal_price(client, NOBODY, coupon_codes=["TEA"])
    await put_template(client, op, "t", **{"code": "TEA"} | change)
    refused = await checkout(19_000, "TEA", quote_id=shown["quote_id"])
    assert reasons(refused) == [("TEA", reason)]
    await assert_nothing_changed(services)


async def test_a_code_that_expired_since_the_quote_is_refused(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], checkout: Checkout, clock: OffsetClock
) -> None:
    ends_at = clock.now() + timedelta(seconds=60)
    await put_template(client, op, "t", code="TEA", valid_days=None, valid_to=ends_at.isoformat())
    shown = await cal_price(client, NOBODY, coupon_codes=["TEA"])
    clock.advance(timedelta(seconds=60))
    assert reasons(await checkout(19_000, "TEA", quote_id=shown["quote_id"])) == [("TEA", "coupons_ended")]
    await assert_nothing_changed(services)


async def test_a_code_for_a_region_is_redeemed_with_an_address_there_alone(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA", claim_regions=["CN-SH"])
    shown = await cal_price(client, NOBODY, coupon_codes=["TEA"], region="CN-SH")
    quoted = {"quote_id": shown["quote_id"], "region": "CN-SH"}
    elsewhere, there = await lives(client, login(), "CN-BJ"), await lives(client, login())
    for where in ({}, {"address_id": elsewhere}):
        refused = await checkout(19_000, "TEA", **quoted, **where)
        assert reasons(refused) == [("TEA", "region_not_served")]
    await assert_nothing_changed(services)
    assert (await checkout(19_000, "TEA", **quoted, address_id=there)).status_code == 201


async def test_a_code_for_a_region_is_not_redeemed_by_an_order_whose_address_another_process_has_moved(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA", claim_regions=["CN-SH"])
    await services.pool.execute("UPDATE item SET item_type = 'physical', version = version + 1")
    await services.pool.execute("UPDATE snapshot_version SET version = version + 1 WHERE name = 'catalog'")
    await services.prices.refresh()
    there = await lives(client, login())
    assert (await cal_price(client, login(), coupon_codes=["TEA"], address_id=there))[
        "payable_minor"
    ] == 19_000
    await services.pool.execute("UPDATE address SET region = 'CN-BJ'")
    assert reasons(await checkout(19_000, "TEA", address_id=there)) == [("TEA", "region_not_served")]
    await assert_nothing_changed(services)


async def test_a_region_that_only_the_cart_names_lowers_no_order(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA", condition={"regions": ["CN"]})
    shown = await cal_price(client, NOBODY, coupon_codes=["TEA"], region="CN-SH")
    assert shown["payable_minor"] == 19_000
    refused = await checkout(19_000, "TEA", quote_id=shown["quote_id"], region="CN-SH")
    assert reasons(refused) == [("TEA", "region_not_served")]
    await assert_nothing_changed(services)


async def test_a_refused_order_redeems_nothing(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA")
    assert reasons(await checkout(19_000, "NONE")) == [("NONE", "code_not_found")]
    await services.pool.execute("UPDATE stock_pool SET on_hand = 0")
    refused = await checkout(19_000, "TEA")
    assert (refused.status_code, refused.json()["code"]) == (409, "out_of_stock")
    await assert_nothing_changed(services)


async def test_what_the_ledger_refuses_beside_a_code_leaves_the_code_alone(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t", codes_count=1)
    await put_template(client, op, "u")
    code, coupon_id = await one_time(services), await granted(client, op, "u")
    await services.redis.flushall()
    both = await cal_price(client, login(), coupon_ids=[coupon_id], coupon_codes=[code])  # caches the coupon
    assert both["payable_minor"] == 18_000
    await services.pool.execute("UPDATE coupon SET status = 'expired'")
    refused = await checkout(18_000, code, coupon_ids=[coupon_id])
    assert (refused.status_code, refused.json()["code"]) == (409, "coupon_unavailable")
    assert refused.json()["coupon_ids"] == [coupon_id]
    assert await coupons(services) == [("42", "u", "expired")]
    assert await services.pool.fetchval("SELECT coupon_id FROM coupon_code") is None


async def test_an_invitation_brings_both_their_coupons_with_the_order(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "thanks")
    await put_template(client, op, "t", per_buyer_max=1, invite={"inviter_template_id": "thanks"})
    invited = await client.get("/coupon/invite?template_id=t", headers=login("41"))
    code = invited.json()["code"]
    await cal_price(client, login("41"), auto_coupons=True)  # caches that there are none
    placed = await checkout(19_000, code)
    assert placed.status_code == 201, placed.text
    assert await coupons(services) == [("41", "thanks", "available"), ("42", "t", "locked")]
    assert (await cal_price(client, login("41"), auto_coupons=True))["payable_minor"] == 19_000
    assert reasons(await checkout(19_000, code, key="k2")) == [(code, "already_invited")]
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_of_many_who_place_with_one_time_code_one_gets_it(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t", codes_count=1)
    code = await one_time(services)
    answers = await asyncio.gather(
        *(checkout(19_000, code, buyer_id=str(buyer)) for buyer in range(10)),
        *(redeem(client, login(str(buyer)), code) for buyer in range(10, 14)),
    )
    assert Counter(answer.status_code < 300 for answer in answers) == {True: 1, False: 13}
    for answer in answers[:10]:
        assert answer.status_code == 201 or reasons(answer) == [(code, "code_used")]
    assert len(await coupons(services)) == 1
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_a_buyer_who_places_many_orders_at_once_gets_no_more_than_their_share(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA", per_buyer_max=2)
    answers = await asyncio.gather(*(checkout(19_000, "TEA", key=f"k{n}") for n in range(8)))
    placed = [answer for answer in answers if answer.status_code == 201]
    assert len(placed) == 2
    for answer in answers:
        assert answer in placed or reasons(answer) == [("TEA", "per_buyer_max_reached")]
    assert await coupons(services) == [("42", "t", "locked")] * 2
    await assert_audit_clean(services, except_for=UNEXPORTED)


async def test_a_rush_of_orders_redemptions_and_claims_takes_what_there_is_and_the_gate_knows(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, checkout: Checkout
) -> None:
    await put_template(client, op, "t", code="TEA", quantity_total=12, per_buyer_max=1, claimable=True)
    assert (await claim(client, login("0"), "t")).status_code == 200  # the gate is loaded
    answers = await asyncio.gather(
        *(checkout(19_000, "TEA", buyer_id=str(buyer)) for buyer in range(1, 15)),
        *(redeem(client, login(str(buyer)), "TEA") for buyer in range(10, 20)),
        *(claim(client, login(str(buyer)), "t") for buyer in range(15, 25)),
    )
    assert sum(answer.status_code < 300 for answer in answers) == 11
    for answer in answers[:14]:
        code = {"coupons_exhausted", "per_buyer_max_reached"}
        assert answer.status_code == 201 or {reason for _, reason in reasons(answer)} <= code
    held = await coupons(services)
    assert len(held) == len({buyer for buyer, _, _ in held}) == 12
    assert await measure_coupon_drift(services.valkey, services.pool) == []
    await assert_audit_clean(services, except_for=UNEXPORTED)
