"""The gate before a group's slots: a crowd is turned away without the ledger, and nobody wrongly."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from app.addresses.errors import AddressInvalid
from app.audit.audit import audit
from app.bootstrap import Services
from app.groups.admit import GroupDraft
from app.groups.gate import Claim
from app.groups.keys import gate_keys
from app.groups.ledger import place_batch
from app.groups.offers import Offers
from app.groups.reconcile import SlotDrift, measure_slot_drift, reconcile_slots
from app.groups.scripts import FLIGHT_TTL_MS, Asked, GateReply, SlotFacts, Verdict
from app.groups.settle import settle_due
from app.lib import metrics
from app.lib.errors import AppError
from app.lib.idempotency import Answer, identify
from app.stock.reconcile import reconcile
from tests.groups.conftest import PRICE_MINOR, Shop
from tests.waiting import wait_until


def claim(group_id: str, buyer: str, key: str = "k") -> Claim:
    return Claim(int(group_id), Asked(identify("groupbuy/orders", buyer, key, None).digest.hex(), buyer))


async def ask(shop: Shop, group_id: str, buyer: str, key: str = "k") -> GateReply:
    return await shop.services.joining.slots.claim(claim(group_id, buyer, key))


async def in_flight(services: Services, group_id: str) -> int:
    return int(await services.redis.hlen(gate_keys(int(group_id))[1]))


async def known_version(services: Services, group_id: str) -> int:
    return int(await services.redis.hget(gate_keys(int(group_id))[0], "version") or 0)


async def at_rest(shop: Shop, group_id: str) -> None:
    """Until the gate has heard of the last commit."""

    async def told() -> bool:
        version = "SELECT slots_version FROM buy_group WHERE group_id = $1"
        ledger = await shop.services.pool.fetchval(version, int(group_id))
        return await known_version(shop.services, group_id) == ledger and not await in_flight(
            shop.services, group_id
        )

    await wait_until(told)


def committed() -> float:
    """Orders that have reached the ledger."""
    return sum(
        sample.value
        for family in metrics.BATCH_SIZE.collect()
        for sample in family.samples
        if sample.name.endswith("_sum")
    )


async def two_of_three(shop: Shop, **campaign: object) -> str:
    await shop.open(**campaign)  # type: ignore[arg-type]
    group_id = await shop.paid("ann")
    await shop.paid("bo", group_id)
    await at_rest(shop, group_id)
    return group_id


async def test_of_five_hundred_buyers_for_the_last_slot_one_reaches_the_ledger(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    body = shop.order_body(group_id)
    before = committed()
    answers = await asyncio.gather(
        *[
            shop.client.post(
                "/groupbuy/orders", json=body, headers=shop.login(f"b{n}") | {"Idempotency-Key": "k"}
            )
            for n in range(500)
        ]
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 499
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"group_full"}
    assert committed() - before == 1


async def test_the_gate_refuses_as_the_ledger_would(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    mine = await shop.call(shop.login("bo"), "GET", "/groupbuy/orders")
    before = committed()
    again = await shop.order("bo", group_id, status=409)
    assert (again["code"], again["order_id"]) == ("already_member", mine["items"][0]["order_id"])
    shop.clock.advance(timedelta(seconds=3_600))
    over = await shop.order("cy", group_id, status=409)
    assert (over["code"], over["group_status"]) == ("group_over", "OPEN")
    shop.clock.advance(timedelta(seconds=16))
    await settle_due(shop.services, shop.clock.now(), 10)
    over = await shop.order("cy", group_id, status=409)
    assert (over["code"], over["group_status"]) == ("group_over", "FAILED")
    assert committed() == before


async def test_a_key_that_has_placed_an_order_gets_it_whatever_the_gate_says(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    placed = await shop.order("cy", group_id, key="once")
    await at_rest(shop, group_id)
    assert (await ask(shop, group_id, "cy")).verdict is Verdict.MEMBER
    assert await shop.order("cy", group_id, key="once") == placed
    assert (await shop.order("dee", group_id, status=409))["code"] == "group_full"


async def test_a_claim_counts_once_and_until_it_is_settled(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    assert (await ask(shop, group_id, "cy")).verdict is Verdict.CLAIMED
    assert (await ask(shop, group_id, "cy")).verdict is Verdict.REPEAT
    assert (await ask(shop, group_id, "cy", "another key")).verdict is Verdict.REPEAT
    assert (await ask(shop, group_id, "dee")).verdict is Verdict.FULL
    await shop.services.joining.slots.tell([], {int(group_id): [claim(group_id, "cy").asked.claim_id]})
    assert (await ask(shop, group_id, "dee")).verdict is Verdict.CLAIMED
    await shop.services.joining.slots.tell([], {int(group_id): [claim(group_id, "dee").asked.claim_id]})


async def test_claims_that_wait_together_are_judged_one_after_the_other(shop: Shop) -> None:
    await shop.open()
    groups = [await shop.paid("ann"), await shop.paid("bo")]
    replies = await asyncio.gather(*[ask(shop, groups[n % 2], f"b{n}") for n in range(10)])
    verdicts = [reply.verdict for reply in replies]
    assert verdicts == [Verdict.CLAIMED] * 4 + [Verdict.FULL] * 6
    await shop.services.redis.flushall()


async def test_an_older_word_changes_nothing(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    version = await known_version(shop.services, group_id)
    stale = SlotFacts(int(group_id), version - 1, "OPEN", 3, shop.clock.now() + timedelta(hours=1), [])
    await shop.services.joining.slots.tell([stale])
    assert (await ask(shop, group_id, "bo")).verdict is Verdict.MEMBER
    assert await known_version(shop.services, group_id) == version


async def test_a_slot_that_lapses_can_be_had_at_once(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    cy = await shop.order("cy", group_id)
    await at_rest(shop, group_id)
    assert (await shop.order("dee", group_id, status=409))["code"] == "group_full"
    await shop.call(shop.login("cy"), "POST", f"/shopping/orders/{cy['order_id']}/cancel")
    assert (await shop.order("dee", group_id))["slot"] == 3


async def test_without_valkey_the_ledger_decides(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    shop.services.valkey.breaker.failed()  # the gate is not asked, and hears of nothing, for half a second
    assert (await shop.order("cy", group_id))["slot"] == 3
    assert (await shop.order("dee", group_id, status=409))["code"] == "group_full"
    await wait_until(lambda: gate_is_back(shop.services))
    drifts = await reconcile_slots(shop.services.valkey, shop.services.pool, shop.clock)
    assert [each[:3] for each in drifts][:1] == [(int(group_id), "free", "1")]
    assert [each.what for each in drifts] == ["free", "members"]
    await reconcile(shop.services.valkey, shop.services.gate, shop.services.pool)  # the stock's
    before = committed()
    assert (await shop.order("dee", group_id, status=409))["code"] == "group_full"
    assert committed() == before


async def gate_is_back(services: Services) -> bool:
    return not services.valkey.breaker.is_open()


async def test_a_flushed_gate_is_loaded_again(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    await shop.services.redis.flushall()
    await shop.services.redis.script_flush()
    assert (await ask(shop, group_id, "bo")).verdict is Verdict.MEMBER
    assert (await shop.order("cy", group_id))["slot"] == 3


async def test_a_claim_that_a_flush_has_forgotten_is_not_promised_twice_by_the_ledger(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    assert (await ask(shop, group_id, "cy")).verdict is Verdict.CLAIMED  # on its way
    await shop.services.redis.flushall()
    assert (await shop.order("dee", group_id))["slot"] == 3
    assert (await shop.order("cy", group_id, status=409, key="k"))["code"] == "group_full"


async def test_the_claim_of_a_dead_process_holds_its_slot_for_some_seconds_only(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    await ask(shop, group_id, "gone")
    assert (await shop.order("cy", group_id, status=409))["code"] == "group_full"
    shop.clock.advance(timedelta(milliseconds=FLIGHT_TTL_MS))
    assert (await shop.order("cy", group_id))["slot"] == 3


async def test_the_reconciler_ends_the_claims_of_dead_processes(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    await ask(shop, group_id, "gone")
    assert await reconcile_slots(shop.services.valkey, shop.services.pool, shop.clock) == []
    assert await in_flight(shop.services, group_id) == 1
    shop.clock.advance(timedelta(milliseconds=FLIGHT_TTL_MS))
    await reconcile_slots(shop.services.valkey, shop.services.pool, shop.clock)
    assert await in_flight(shop.services, group_id) == 0


async def test_what_differs_is_measured_told_by_the_audit_and_forgotten(shop: Shop) -> None:
    services = shop.services
    group_id = await two_of_three(shop)
    slots, _ = gate_keys(int(group_id))
    await services.redis.hset(slots, mapping={"status": "FAILED", "free": 2})
    expected = [
        SlotDrift(int(group_id), "status", "FAILED", "OPEN"),
        SlotDrift(int(group_id), "free", "2", "1"),
    ]
    assert await measure_slot_drift(services.valkey, services.pool) == expected
    (gauge,) = metrics.SLOT_GATE_DRIFT.collect()
    assert gauge.samples[0].value == 2
    (finding,) = [each for each in await audit(services) if each.rule == "gate_is_ledger"]
    assert {each.why for each in finding.violations} == {"gate FAILED, ledger OPEN", "gate 2, ledger 1"}
    assert await reconcile_slots(services.valkey, services.pool, shop.clock) == expected
    assert await measure_slot_drift(services.valkey, services.pool) == []
    assert (await shop.order("cy", group_id))["slot"] == 3


async def test_who_is_refused_after_the_gate_gives_the_slot_back(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    await shop.services.pool.execute("UPDATE item SET item_type = 'physical'")
    shop.services.joining.offers = Offers(shop.services.pool)  # that has kept nothing
    refused = await shop.order("cy", group_id, status=AddressInvalid.status)
    assert refused["code"] == AddressInvalid.code
    assert await in_flight(shop.services, group_id) == 0


async def test_whom_the_ledger_refuses_gives_the_slot_back(shop: Shop) -> None:
    group_id = await two_of_three(shop)
    refused = await shop.order("cy", group_id, payable_minor=1, status=409)
    assert refused["code"] == "price_changed"
    await at_rest(shop, group_id)
    assert (await shop.order("dee", group_id))["slot"] == 3


async def draft(shop: Shop, buyer: str, quantity: int = 1, group_id: str | None = None) -> GroupDraft:
    services = shop.services
    offer = await services.joining.offers.get(int(shop.campaign["items"][0]["campaign_item_id"]))
    once = identify("groupbuy/orders", buyer, "k", buyer)
    ids, now = (services.ids.next(), services.ids.next()), shop.clock.now()
    group = None if group_id is None else int(group_id)
    return GroupDraft(once, *ids, offer, quantity, PRICE_MINOR * quantity, group, False, None, now)


async def test_an_order_that_the_database_refuses_fails_no_other_of_its_batch(shop: Shop) -> None:
    await shop.open()
    drafts = [await draft(shop, "ann"), await draft(shop, "bo", 0), await draft(shop, "cy")]
    outcomes = await asyncio.gather(
        *[shop.services.joining.committer.place(each) for each in drafts], return_exceptions=True
    )
    assert [type(each).__name__ for each in outcomes] == ["Answer", AppError.__name__, "Answer"]
    buyers = await shop.services.pool.fetch("SELECT buyer_id FROM group_order ORDER BY buyer_id")
    assert [row["buyer_id"] for row in buyers] == ["ann", "cy"]


async def test_the_same_keys_in_batches_of_several_processes_are_one_order_each(shop: Shop) -> None:
    await shop.open(stock=50)
    group_id = await shop.paid("ann")
    wanted = [("bo", group_id), ("cy", None), ("dee", group_id), ("eve", None)]
    batches = [[await draft(shop, buyer, group_id=group) for buyer, group in wanted] for _ in range(4)]
    timeout = timedelta(minutes=15)
    results = await asyncio.gather(
        *[
            place_batch(shop.services.pool, batch, shop.clock.now(), timeout)
            for batch in (batches[0], batches[1][::-1], batches[2][:2], batches[3][2:])
        ]
    )
    answers = [outcome for result in results for outcome in result.outcomes]
    assert sorted(each.replayed for each in answers if isinstance(each, Answer)) == [False] * 4 + [True] * 8
    assert len({each.body for each in answers if isinstance(each, Answer)}) == 4
    assert await shop.services.pool.fetchval("SELECT count(*) FROM group_order") == 5
    await shop.services.redis.flushall()  # nobody has told the gates
