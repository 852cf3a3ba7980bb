"""The parts of the bench that must be right for its figures to mean anything."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import msgspec
import pytest
from litestar import Litestar

from app.audit.audit import audit_ledger
from app.bootstrap import Services
from app.catalog.import_file import import_file
from app.groups.schemas import GroupOrderRequest
from app.pricing.schemas import CartLine, CheckoutRequest
from loadtest import echo, goods
from loadtest.cases import REQUESTS, Joins, choose, write_requests
from loadtest.engine import EngineFigures
from loadtest.measure import Sample, in_words, median_of, other_outcomes, unexpected
from loadtest.open_groups import OpenGroups, open_groups_with
from loadtest.preload import preload_orders
from loadtest.prove import count_orders
from loadtest.report import summarize
from loadtest.scrape import Counts, counts_in
from loadtest.stage import CHECKOUT_PATH, Buyer, Cart, Stage, cart_body
from loadtest.wrk import WrkResult
from tests.conftest import Login
from tests.rows import put_sku

SAMPLE = Sample(
    requests=0,
    requests_per_s=0.0,
    latency_ms_p50=1.0,
    latency_ms_p99=2.0,
    unexpected={},
    outcomes={},
    orders_per_commit=0.0,
    server_cpu_us=0.0,
    postgres_cpu_us=0.0,
    valkey_cpu_us=0.0,
    wrk_cpu_us=0.0,
)


def samples(*rates: float) -> list[Sample]:
    return [msgspec.structs.replace(SAMPLE, requests_per_s=rate) for rate in rates]


@pytest.mark.parametrize("app", [echo.limit, Litestar([echo.echo])])
async def test_both_echoes_answer_a_checkout_with_itself(app: object) -> None:
    request = CheckoutRequest("CNY", [CartLine("1001", 2)], payable_minor=20_000, address_id="77")
    body = msgspec.json.encode(request)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://echo.test") as client:
        answer = await client.post(CHECKOUT_PATH, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.content) == (201, body)


def test_a_case_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(SystemExit, match=r"No such case: chekout\. There are: limit, echo, cal_price"):
        choose("echo,chekout")


def test_the_ratio_is_taken_within_each_round() -> None:
    """A machine that becomes twice as slow after the first round changes no ratio."""
    echo_case, checkout = choose("echo,checkout")
    report = summarize(
        {echo_case: samples(8_000, 4_000, 4_000), checkout: samples(4_000, 2_000, 2_000)},
        EngineFigures(1, 2),
        {},
    )
    assert report.cases["checkout"].of_the_echo == 0.5
    assert report.cases["checkout"].median.requests_per_s == 2_000


def test_an_unexpected_answer_in_any_round_is_not_lost_in_the_median() -> None:
    busy = msgspec.structs.replace(SAMPLE, unexpected={"503": 2}, outcomes={"overloaded": 2})
    found = median_of([SAMPLE, busy, SAMPLE, busy])
    assert (found.unexpected, found.outcomes) == ({"503": 4}, {"overloaded": 4})
    assert in_words(found) == "4 unexpected answers (503: 4); other outcomes of orders: overloaded: 4"


async def test_a_run_with_unexpected_answers_says_which_they_were(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await put_sku(services.pool, "tea", on_hand=0)
    await services.prices.refresh()
    (case,) = choose("checkout")
    before = counts_in((await client.get("/metrics")).text)
    cart = cart_body([goods.line("tea")], payable_minor=1, address_id="1")
    headers = login() | {"idempotency-key": "1"}
    assert (await client.post(CHECKOUT_PATH, json=cart, headers=headers)).json()["code"] == "price_changed"
    assert (await client.post(CHECKOUT_PATH, content=b"", headers=headers)).status_code == 400
    assert (await client.get("/coupon/offers")).status_code == 200
    counts = counts_in((await client.get("/metrics")).text).since(before)
    seen = WrkResult(3, 1, 1, 1, not_2xx=2, socket_errors=1, timeouts=0)
    answers = {"socket errors": 1, "409": 1, "400": 1, "200 of /coupon/offers": 1}
    assert unexpected(case, seen, counts) == answers
    assert other_outcomes(case, counts) == {"price_changed": 1}
    (echo_case,) = choose("echo")
    assert unexpected(echo_case, seen, None) == {"socket errors": 1, "not 2xx": 2}


async def test_the_answer_that_a_case_wants_is_expected() -> None:
    (case,) = choose("sold_out")
    wanted = Counts(Counter({(case.path, 409): 5}), Counter({"out_of_stock": 5}))
    assert unexpected(case, WrkResult(5, 1, 1, 1, 5, 0, 0), wanted) == {}
    assert other_outcomes(case, wanted) == {}


def test_prepared_requests_are_whole_checkouts_of_every_buyer_and_cart(tmp_path: Path) -> None:
    buyers = [Buyer(f"token-{n}", f"{n}", f"{9000 + n}") for n in range(400)]
    carts = [Cart(goods.cart_lines(n), n) for n in range(goods.CARTS)]
    files = write_requests(Stage(buyers, carts, carts[0], carts[0]), tmp_path)
    lines = [line.split("\t") for line in files["checkout"].read_text().splitlines()]
    bodies = [msgspec.json.decode(body, type=CheckoutRequest) for _, body in lines]
    assert len(lines) == REQUESTS
    assert {token for token, _ in lines} == {buyer.token for buyer in buyers}
    assert {body.payable_minor for body in bodies} == {cart.payable_minor for cart in carts}
    assert all(token == f"token-{body.address_id}" for (token, _), body in zip(lines, bodies, strict=True))


def test_every_free_slot_is_asked_for_once_and_no_buyer_twice_in_a_group(tmp_path: Path) -> None:
    buyers = [Buyer(f"token-{n}", f"{n}", f"{9000 + n}") for n in range(400)]
    stage = Stage(buyers, [], Cart([], 0), Cart([], 0))
    joins, parts = Joins(stage, OpenGroups("5", [70_000 + n for n in range(500)])), ""
    for _ in range(2):
        parts += joins.write_next(tmp_path / "part", 2_250).read_text()
        joins.sent(2_250)
    lines = [line.split("\t") for line in parts.splitlines()]
    decode = msgspec.json.Decoder(GroupOrderRequest).decode
    asked = Counter((token, decode(body).group_id) for token, body in lines)
    assert (len(asked), set(asked.values())) == (500 * 9, {1})


async def audit_now(database_url: str) -> list[str]:
    """The rules that are broken."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            findings = await audit_ledger(connection, datetime.now(UTC))
        return [finding.rule for finding in findings if finding.violations]
    finally:
        await connection.close()


async def test_open_groups_are_as_starting_them_would_have_left_them(
    client: httpx.AsyncClient, services: Services, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog.ndjson"
    goods.write_catalog(catalog, goods.SKUS_MIN)
    database_url = services.settings.database_url
    await asyncio.to_thread(asyncio.run, import_file(database_url, catalog, shop_id="shop-0", report=print))
    groups = await open_groups_with(client, services.settings, 40)
    assert len(groups.group_ids) == 40
    assert await audit_now(database_url) == []


def test_preloaded_orders_are_as_placing_and_paying_would_have_left_them(
    database_url: str, tmp_path: Path
) -> None:
    catalog = tmp_path / "catalog.ndjson"
    goods.write_catalog(catalog, goods.SKUS_MIN)
    asyncio.run(import_file(database_url, catalog, shop_id="shop-0", report=print))
    preload_orders(database_url, 600)
    assert asyncio.run(audit_now(database_url)) == []
    assert asyncio.run(count_orders(database_url)) == 600
