"""Buyers take coupons themselves: never one too many, whatever gate and ledger go through meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx
import pytest

from app.bootstrap import Services
from app.coupons.commit import Taken, take_batch
from app.coupons.gate import Claim
from app.coupons.keys import buyer_coupons_key, gate_keys
from app.coupons.reconcile import measure_coupon_drift, reconcile_coupons
from app.coupons.schemas import ClaimRequest
from app.coupons.scripts import Asked, Verdict
from app.lib.clock import OffsetClock
from app.lib.idempotency import identify
from app.lib.postgres import transaction
from tests.auditing import assert_audit_clean
from tests.conftest import Login
from tests.coupons.calls import TEMPLATE, cal_price, claim, grant, put_shop, put_template, redeem
from tests.waiting import wait_until

# A refusal that waited for a locked table would take longer than any answer of the gate.
ANSWERED_WITHIN_S = 2.0


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await put_shop(client, op)


async def given(services: Services) -> tuple[int, int, int]:
    """Coupons, what the claims count, what the template counts."""
    row = await services.pool.fetchrow(
        "SELECT (SELECT count(*) FROM coupon), (SELECT coalesce(sum(quantity), 0) FROM coupon_claim),"
        " (SELECT sum(granted_count) FROM coupon_template)"
    )
    return row[0], row[1], row[2]


async def in_gate(services: Services, template_id: str = "t") -> tuple[int, int]:
    """How many the gate knows to be given, and how many are in flight."""
    count, flight, _ = gate_keys(template_id)
    return int(await services.redis.get(count) or -1), await services.redis.zcard(flight)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_claimed_coupon_is_the_buyers_and_a_repeat_gives_the_same(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True)
    await cal_price(client, login(), auto_coupons=True)  # caches that there are none
    first = await claim(client, login(), "t")
    assert first.status_code == 200
    assert (first.json()["template_id"], first.json()["status"]) == ("t", "available")
    again = await claim(client, login(), "t")
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert refusal(await claim(client, login(), "other")) == (422, "idempotency_key_reused")
    keyless = await client.post("/coupon/claim", json={"template_id": "t"}, headers=login())
    assert refusal(keyless) == (400, "idempotency_key_missing")
    assert (await claim(client, op, "t")).status_code == 403
    assert await given(services) == (1, 1, 1)
    summary = await cal_price(client, login(), auto_coupons=True)
    assert [each["rule_id"] for each in summary["applied"]] == [first.json()["coupon_id"]]


async def test_however_many_claim_at_once_exactly_as_many_get_one_as_there_are(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=20, per_buyer_max=1)
    answers = await asyncio.gather(*(claim(client, login(str(n)), "t") for n in range(80)))
    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [409] * 60
    assert {refusal(answer) for answer in answers if answer.status_code == 409} == {
        (409, "coupons_exhausted")
    }
    assert await given(services) == (20, 20, 20)
    assert await in_gate(services) == (20, 0)


async def test_one_buyer_with_many_keys_gets_no_more_than_one_may_have(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, per_buyer_max=2)
    answers = await asyncio.gather(*(claim(client, login(), "t", key=str(n)) for n in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [409] * 8
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert (refusal(refused), refused.json()["user_ids"]) == ((409, "per_buyer_max_reached"), ["42"])
    assert await given(services) == (2, 2, 2)
    assert (await claim(client, login("43"), "t")).status_code == 200


async def test_who_is_refused_costs_the_ledger_nothing(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=1)
    await put_template(client, op, "later", claimable=True, claim_from="2099-01-01T00:00:00Z")
    assert (await claim(client, login("1"), "t")).status_code == 200
    await claim(client, login("1"), "later")  # brings it into the gate
    async with services.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "LOCK TABLE idempotency, coupon, coupon_claim, coupon_template IN ACCESS EXCLUSIVE MODE"
        )
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            assert refusal(await claim(client, login("2"), "t")) == (409, "coupons_exhausted")
            assert refusal(await claim(client, login("2"), "later")) == (409, "claim_not_open")


async def test_a_key_that_has_brought_a_coupon_brings_it_again_when_all_are_gone(
    client: httpx.AsyncClient, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=1, per_buyer_max=1)
    first = await claim(client, login(), "t")
    assert refusal(await claim(client, login("43"), "t")) == (409, "coupons_exhausted")
    assert (await claim(client, login(), "t")).json() == first.json()
    await put_template(client, op, "t", claimable=True, quantity_total=1, claim_to="2021-01-01T00:00:00Z")
    assert (await claim(client, login(), "t")).json() == first.json()
    assert refusal(await claim(client, login(), "t", key="new")) == (409, "claim_not_open")
    await put_template(client, op, "t")
    assert (await claim(client, login(), "t")).json() == first.json()


async def test_coupons_are_claimed_within_their_window_only(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login, clock: OffsetClock
) -> None:
    opens = clock.now() + timedelta(hours=1)
    window = {"claim_from": opens.isoformat(), "claim_to": (opens + timedelta(hours=1)).isoformat()}
    await put_template(client, op, "t", claimable=True, **window)
    await put_template(client, op, "closed")
    await put_template(client, op, "ended", claimable=True, valid_days=None, valid_to="2021-01-01T00:00:00Z")
    assert refusal(await claim(client, login(), "closed")) == (404, "template_not_found")
    assert refusal(await claim(client, login(), "unknown")) == (404, "template_not_found")
    assert refusal(await claim(client, login(), "ended")) == (409, "coupons_ended")
    early = await claim(client, login(), "t")
    assert (refusal(early), "claim_from" in early.json()) == ((409, "claim_not_open"), True)
    assert await given(services) == (0, 0, 0)
    clock.advance(timedelta(hours=1, minutes=1))
    assert (await claim(client, login(), "t")).status_code == 200
    clock.advance(timedelta(hours=1))
    late = await claim(client, login("43"), "t")
    assert (refusal(late), "claim_to" in late.json()) == ((409, "claim_not_open"), True)
    assert await given(services) == (1, 1, 1)
    wrong = TEMPLATE | {"claim_from": "2099-01-01T00:00:00Z"}
    refused = await client.put("/admin/coupon_templates/wrong", json=wrong, headers=op)
    assert refusal(refused) == (400, "invalid_request")


async def test_an_emptied_gate_is_loaded_from_the_ledger(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=2, per_buyer_max=1)
    await claim(client, login(), "t")
    await services.redis.flushall()
    assert refusal(await claim(client, login(), "t", key="new")) == (409, "per_buyer_max_reached")
    assert await in_gate(services) == (1, 0)
    assert (await claim(client, login("43"), "t")).status_code == 200
    await services.redis.flushall()
    assert refusal(await claim(client, login("44"), "t")) == (409, "coupons_exhausted")
    assert await given(services) == (2, 2, 2)


async def test_the_ledger_refuses_what_the_gate_wrongly_lets_through_and_the_gate_learns(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=1, per_buyer_max=1)
    first = await claim(client, login(), "t")
    count, _, buyers = gate_keys("t")
    await services.redis.set(count, 0)
    await services.redis.hdel(buyers, "42")
    assert refusal(await claim(client, login(), "t", key="new")) == (409, "per_buyer_max_reached")
    assert refusal(await claim(client, login("43"), "t")) == (409, "coupons_exhausted")
    assert await in_gate(services) == (1, 0)
    assert await services.redis.hgetall(buyers) == {b"": b"1", b"42": b"1"}
    await services.redis.set(count, 0)
    await services.redis.hdel(buyers, "42")
    assert (await claim(client, login(), "t")).json() == first.json()
    assert await in_gate(services) == (1, 0)
    assert await given(services) == (1, 1, 1)


async def test_without_valkey_the_ledger_decides_alone(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=1)
    services.valkey.breaker.failed()
    first = await claim(client, login(), "t")
    assert first.status_code == 200
    services.valkey.breaker.failed()
    assert refusal(await claim(client, login("43"), "t")) == (409, "coupons_exhausted")
    assert (await claim(client, login(), "t")).json() == first.json()
    assert await given(services) == (1, 1, 1)


async def test_a_claim_whose_process_died_holds_its_coupon_back_for_a_moment_only(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=1, per_buyer_max=1)
    died = Claim(services.prices.book.offers["t"], Asked("00", "42", is_open=True))
    assert (await services.taking.gate.ask(died)).verdict is Verdict.CLAIMED
    assert (await services.taking.gate.ask(died)).verdict is Verdict.REPEAT
    assert refusal(await claim(client, login("43"), "t")) == (409, "coupons_exhausted")
    await services.redis.zadd(gate_keys("t")[1], {"00": 0})  # fifteen seconds later
    assert (await claim(client, login("43"), "t")).status_code == 200
    assert await in_gate(services) == (1, 0)


async def test_grants_and_codes_count_in_the_gate_too(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=3, per_buyer_max=1, code="TEA")
    await claim(client, login("1"), "t")
    await grant(client, op, "t", "2")
    assert (await redeem(client, login("3"), "TEA")).status_code == 200
    assert await in_gate(services) == (3, 0)
    assert refusal(await claim(client, login("2"), "t")) == (409, "per_buyer_max_reached")
    assert refusal(await claim(client, login("4"), "t")) == (409, "coupons_exhausted")
    await put_template(client, op, "t", claimable=True, quantity_total=4, per_buyer_max=1, code="TEA")
    assert (await claim(client, login("4"), "t")).status_code == 200


async def test_a_claim_that_the_database_refuses_fails_alone(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=40, per_buyer_max=1)
    await services.pool.execute("ALTER TABLE coupon ADD CONSTRAINT no_bad CHECK (buyer_id <> '13')")
    answers = await asyncio.gather(*(claim(client, login(str(n)), "t") for n in range(40)))
    refused = {n: refusal(answer) for n, answer in enumerate(answers) if answer.status_code != 200}
    assert refused == {13: (500, "internal_error")}
    assert await given(services) == (39, 39, 39)
    assert await in_gate(services) == (39, 0)
    assert (await claim(client, login("40"), "t")).status_code == 200  # nothing is held back for the 13th
    assert await measure_coupon_drift(services.valkey, services.pool) == []


async def test_a_claim_sent_again_after_a_lost_commit_finds_its_own_coupon(
    client: httpx.AsyncClient, services: Services, op: dict[str, str]
) -> None:
    await put_template(client, op, "t", claimable=True)
    once = identify("coupon/claim", "42", "k", "t")
    taken = Taken(once, "t", services.ids.next(), services.clock.now())
    outcomes = []
    for _ in range(2):
        async with transaction(services.pool) as connection:
            outcomes += (await take_batch(connection, [taken])).outcomes
    assert outcomes[0] == outcomes[1]
    assert await given(services) == (1, 1, 1)


async def test_who_died_after_the_commit_has_gate_and_cache_told_by_the_next_try(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=5, per_buyer_max=2)
    await claim(client, login("42"), "t")  # loads the gate
    wanted = ClaimRequest(template_id="t")
    once = identify("coupon/claim", "42", "k2", wanted)
    asked = Claim(services.prices.book.offers["t"], Asked(once.digest.hex(), "42", is_open=True))
    await services.redis.delete(buyer_coupons_key("42"))  # the mark of the first claim, later
    assert len(await services.coupons.of("42")) == 1
    assert (await services.taking.gate.ask(asked)).verdict is Verdict.CLAIMED
    async with transaction(services.pool) as connection:
        await take_batch(connection, [Taken(once, "t", services.ids.next(), services.clock.now())])
    again = await claim(client, login("42"), "t", key="k2")
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert await in_gate(services) == (2, 0)
    assert await measure_coupon_drift(services.valkey, services.pool) == []
    assert len(await services.coupons.of("42")) == 2


async def test_a_gate_that_came_back_as_it_was_is_found_and_forgotten(
    client: httpx.AsyncClient, services: Services, op: dict[str, str], login: Login
) -> None:
    await put_template(client, op, "t", claimable=True, quantity_total=2)
    await claim(client, login("1"), "t")
    services.valkey.breaker.failed()  # the gate hears of nothing for half a second
    second = await claim(client, login("2"), "t")
    await wait_until(lambda: gate_is_back(services))
    found = await reconcile_coupons(services.valkey, services.pool)
    assert [(each.what, each.gate, each.ledger) for each in found] == [
        ("given", 1, 2),
        ("holders", 1, 2),
    ]
    assert await reconcile_coupons(services.valkey, services.pool) == []
    assert refusal(await claim(client, login("3"), "t")) == (409, "coupons_exhausted")
    assert (await claim(client, login("2"), "t")).json() == second.json()
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def gate_is_back(services: Services) -> bool:
    return not services.valkey.breaker.is_open()
