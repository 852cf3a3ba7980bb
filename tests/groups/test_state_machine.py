"""Merchant, operator, buyers, the clock and crashes, drawn at random and played against a model.

After every step the ledger says what the model says; at the end of each game everything is over, the money is
where it belongs, and the audit is clean. RUSHCART_STATE_GAMES=1000 plays so many games; by default a few.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings, stateful
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.bootstrap import Services, open_services
from app.campaigns import draft, publish, review
from app.campaigns.end import end_due, withdraw
from app.campaigns.schemas import AllDecision, CampaignDocument, CampaignItemDocument, Review
from app.groups.place import place_group_order
from app.groups.schemas import GroupOrderRequest
from app.groups.settle import settle_due, settle_strays
from app.lib.auth import Caller
from app.lib.errors import AppError
from app.lib.hot import HotRequest
from app.lib.postgres import TRANSIENT_ERRORS, transaction
from app.orders.cancel import cancel
from app.orders.close import close_due
from app.payments.aftermath import Aftermath, follow_up
from app.payments.apply import apply_report
from app.payments.report import Report
from app.refunds.settle import RefundOutcome
from app.refunds.settle import settle as settle_refund
from app.settings import Settings
from tests.auditing import assert_audit_clean
from tests.groups.crash import crash_at, install_crashes
from tests.groups.model import Campaign, Order
from tests.rows import put_sku

GAMES = int(os.environ.get("RUSHCART_STATE_GAMES", "25"))
STEPS = 40
PRICE_MINOR = 8_000
OPEN_S, LASTS_S = 1_200, 2_400
OP = Caller("ann", "op")
BUYERS = ("ann", "bo", "cy", "dee", "eve")
COMPARED = ("status", "group_id", "slot", "stray", "held", "captures", "refunds")
# Deadlines (15 minutes, 20, 40), each with and without the grace, and a second to either side.
TIMES_S = (1, 14, 15, 16, 300, 899, 900, 915, 1_199, 1_215)
# Every third one is a buyer who joins.
MOVES = (
    ["join and pay"] * 5 + ["start and pay", "start", "join", "join", "pay", "pay late or twice", "leave"]
    + ["close", "settle", "settle", "settle_strays", "refund", "end", "wait", "wait", "withdraw", "crash"]
)  # fmt: skip
_names = count(1)


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by


class Table:
    """The services that a game is played on, in a loop of their own."""

    def __init__(self, services: Services, clock: HandClock, run: Callable[..., Any]) -> None:
        self.services, self.clock, self.run = services, clock, run


@pytest.fixture
def table(settings: Settings) -> Iterator[Table]:
    clock = HandClock()
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        services = runner.run(
            stack.enter_async_context(open_services(settings, name="game", clock=clock, load_prices=False))
        )
        runner.run(install_crashes(services.pool))
        yield Table(services, clock, runner.run)
        runner.run(stack.aclose())


def test_whatever_happens_in_whatever_order_groups_end_as_the_model_says(table: Table) -> None:
    class Game(Groups):
        def __init__(self) -> None:
            super().__init__(table)

    stateful.run_state_machine_as_test(
        Game,
        settings=settings(
            max_examples=GAMES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=[Phase.generate],
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    table.run(assert_audit_clean(table.services, except_for={"waiting_outbox"}))


class Groups(RuleBasedStateMachine):
    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table, self.services = table, table.services

    @property
    def now(self) -> datetime:
        return self.table.clock.now()

    @initialize(
        policy=st.sampled_from(["last_member", "each_member", "on_success"]),
        slots=st.integers(2, 3),
        enough_bp=st.sampled_from([None, 5_000]),
        stock=st.integers(2, 7),
    )
    def open(self, policy: str, slots: int, enough_bp: int | None, stock: int) -> None:
        self.name = f"game-{next(_names)}"
        self.item_id, self.campaign_id = self.table.run(
            open_campaign(self.services, self.name, policy, slots, enough_bp, stock)
        )
        enough = slots if enough_bp is None else -(-slots * enough_bp // 10_000)
        self.model = Campaign(
            policy,
            slots,
            enough,
            stock,
            self.now + timedelta(seconds=LASTS_S),
            timedelta(seconds=OPEN_S),
            timedelta(seconds=self.services.settings.pay_timeout_s),
        )

    # One rule, since Hypothesis leaves whole rules out of most games.
    @rule(
        move=st.sampled_from(MOVES),
        buyer=st.sampled_from(BUYERS),
        quantity=st.sampled_from([1, 1, 1, 2]),
        pick=st.integers(0, 9),
    )
    def move(self, move: str, buyer: str, quantity: int, pick: int) -> None:
        orders = list(self.model.orders.values())
        unpaid = [each for each in orders if each.status == "UNPAID"]
        groups = sorted(self.model.groups)
        group_id = groups[-1 - pick % len(groups)] if groups else None
        match move:
            case "start" | "start and pay":
                self._place(buyer, quantity, None, pays=move != "start")
            case "join" | "join and pay":
                self._place(buyer, quantity, group_id, pays=move != "join")
            case "pay" if unpaid:
                self._pay(unpaid[pick % len(unpaid)])
            case "pay late or twice" if orders:
                self._pay(orders[-1 - pick % len(orders)])
            case "leave" if unpaid:
                self._leave(unpaid[pick % len(unpaid)])
            case "wait":
                self.table.clock.advance(timedelta(seconds=TIMES_S[pick]))
            case "withdraw" if pick == 7 and self.model.status == "PUBLISHED":  # else games are over soon
                self._play("withdraw", lambda: withdraw(self.services, OP, self.campaign_id, "fake"))
            case "crash":
                self.table.run(crash_at(self.services.pool, 3 * pick + 1))
            case _ if move in SWEEPS:
                self._play(move, lambda: SWEEPS[move](self.services, self.now))

    @invariant()
    def the_ledger_is_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        found = self.table.run(read_ledger(self.services, self.campaign_id))
        assert found == {
            "orders": {
                each.order_id: tuple(getattr(each, name) for name in COMPARED)
                for each in self.model.orders.values()
            },
            "groups": {each.group_id: each.status for each in self.model.groups.values()},
            "free": self.model.free,
            "reserved": sum(each.quantity for each in self.model.orders.values() if each.held),
        }

    def teardown(self) -> None:
        """A day later nobody waits for anything."""
        if not hasattr(self, "model"):
            return
        self.table.run(crash_at(self.services.pool, None))
        self.table.clock.advance(timedelta(days=1))
        for move in ("close", "settle", "settle_strays", "refund", "end"):
            self.move(move, "ann", 1, 0)
            self.the_ledger_is_the_model()
        assert {each.status for each in self.model.orders.values()} <= {"SUCCEEDED", "REFUNDED", "CANCELED"}
        for order in self.model.orders.values():
            assert order.captures - order.refunds == (order.status == "SUCCEEDED")

    def _place(self, buyer: str, quantity: int, group_id: int | None, *, pays: bool) -> None:
        buyer = f"{self.name}-{buyer}"
        expected = self.model.refusals(self.now, buyer, quantity, group_id)
        told = self.table.run(self._order(buyer, quantity, group_id))
        if isinstance(told, str):
            assert told in expected
        else:
            assert not expected
            order = self.model.place(self.now, told, buyer, quantity, group_id)
            if pays:
                self._pay(order)

    def _pay(self, order: Order) -> None:
        self._play("pay", lambda: pay(self.services, order), order)

    def _leave(self, order: Order) -> None:
        self._play("cancel", lambda: cancel(self.services, order.buyer, str(order.order_id)), order)

    def _play(self, move: str, verb: Callable[[], Awaitable[object]], *order: Order) -> None:
        """The model moves, too, unless the process died on the way: then nothing has happened."""

        async def happens() -> bool:
            try:
                await verb()
            except TRANSIENT_ERRORS:
                return False
            return True

        if self.table.run(happens()):
            getattr(self.model, move)(self.now, *order)

    async def _order(self, buyer: str, quantity: int, group_id: int | None) -> int | str:
        """The order's id, or why there is none."""
        body = GroupOrderRequest(
            self.item_id, quantity, PRICE_MINOR * quantity, None if group_id is None else str(group_id)
        )
        request = HotRequest(Caller(buyer, "buyer"), body, f"k{next(_names)}")
        try:
            answer = await place_group_order(self.services, request)
        except AppError as error:
            return error.code
        return int(msgspec.json.decode(answer.body)["order_id"])


async def open_campaign(
    services: Services, name: str, policy: str, slots: int, enough_bp: int | None, stock: int
) -> tuple[str, int]:
    await put_sku(services.pool, name, shop_id="7", on_hand=stock)
    now = services.clock.now()
    document = CampaignDocument(
        item_id=f"item-{name}",
        name=name,
        starts_at=now,
        ends_at=now + timedelta(seconds=LASTS_S),
        orders_to_succeed=slots,
        group_open_s=OPEN_S,
        items=[CampaignItemDocument(name, "CNY", PRICE_MINOR, PRICE_MINOR, stock)],
        stock_policy=policy,  # type: ignore[arg-type]
        complete_from_bp=enough_bp,
    )
    campaign_id = int((await draft.create(services, OP, document)).campaign_id)
    await review.submit(services, OP, campaign_id)
    await review.review(services, OP, campaign_id, Review(all=AllDecision(True)))
    published = await publish.publish(services, OP, campaign_id)
    return published.items[0].campaign_item_id, campaign_id


async def pay(services: Services, order: Order) -> None:
    """The channel has taken the money for an attempt of its own, and tells us."""
    amount_minor, payment_id = PRICE_MINOR * order.quantity, services.ids.next()
    aftermath = Aftermath()
    async with transaction(services.pool) as connection:
        await connection.execute(
            "INSERT INTO payment_order (payment_id, order_id, buyer_id, channel, method, status, currency,"
            " amount_minor, created_at, updated_at) SELECT $1, order_id, buyer_id, 'sandbox', 'card',"
            " 'PENDING', currency, $3, $4, $4 FROM orders WHERE order_id = $2",
            payment_id,
            order.order_id,
            amount_minor,
            services.clock.now(),
        )
        await apply_report(
            services, connection, Report(payment_id, "captured", amount_minor, "CNY"), aftermath
        )
    await follow_up(services, aftermath)


async def tell_refunded(services: Services) -> None:
    aftermath = Aftermath()
    async with transaction(services.pool) as connection:
        for row in await connection.fetch(
            "SELECT * FROM refund WHERE status <> 'SUCCEEDED' ORDER BY refund_id"
        ):
            outcome = RefundOutcome(str(row["refund_id"]), "succeeded", row["amount_minor"], row["currency"])
            await settle_refund(services, connection, outcome, aftermath)
    await follow_up(services, aftermath)


async def read_ledger(services: Services, campaign_id: int) -> dict[str, Any]:
    orders = await services.pool.fetch(
        "SELECT g.*, (SELECT count(*) FROM payment_order AS p WHERE p.order_id = g.order_id"
        " AND p.status = 'CAPTURED') AS captures,"
        " (SELECT count(*) FROM refund AS r WHERE r.order_id = g.order_id) AS refunds,"
        " l.reserve_on = 'place' AND g.status IN ('UNPAID', 'PAID', 'REFUNDING') AS held"
        " FROM group_order AS g JOIN order_line AS l USING (order_id) WHERE campaign_id = $1",
        campaign_id,
    )
    groups = await services.pool.fetch("SELECT * FROM buy_group WHERE campaign_id = $1", campaign_id)
    pool = await services.pool.fetchrow(
        "SELECT on_hand - reserved AS free, reserved FROM stock_pool JOIN campaign_item USING (pool_id)"
        " WHERE campaign_id = $1",
        campaign_id,
    )
    return {
        "orders": {row["order_id"]: tuple(row[name] for name in COMPARED) for row in orders},
        "groups": {row["group_id"]: row["status"] for row in groups},
        **dict(pool),
    }


SWEEPS: dict[str, Callable[[Services, datetime], Awaitable[object]]] = {
    "close": lambda services, now: close_due(services, now, 100),
    "settle": lambda services, now: settle_due(services, now, 100),
    "settle_strays": lambda services, now: settle_strays(services, now, 100),
    "refund": lambda services, _: tell_refunded(services),
    "end": lambda services, now: end_due(services, now, 100),
}
