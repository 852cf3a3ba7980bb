"""The composition root: everything with a lifetime is made here, handed to the verbs, and closed here.

Enter with the settings, leave with `Services`; nothing connects at import. The API, the worker and the
commands all start from here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

import redis.asyncio as redis

from app.addresses.where import Regions
from app.balances.purses import Purses
from app.buyers.known import Buyers
from app.checkout.placing import Placing, open_placing
from app.coupons.held import HeldCoupons
from app.coupons.known_codes import KnownCodes
from app.coupons.take import Taking, open_taking
from app.events_in.intake import Intake
from app.groups.place import Joining, open_joining
from app.groups.watch import Watching
from app.lib.auth import Authenticator, RateLimiter
from app.lib.clock import Clock, OffsetClock, SystemClock
from app.lib.hot import ANONYMOUS_SHARE
from app.lib.ids import IdMaker, NodeLease
from app.lib.jobs import Jobs
from app.lib.postgres import Pool, open_pool
from app.lib.valkey import Valkey, open_client
from app.payments.channels import Channels
from app.pricing.kept_quotes import KeptQuotes
from app.pricing.snapshots import PriceSnapshots
from app.promotions.used import RuleUses
from app.settings import Settings
from app.share_page.card import Cards, open_cards
from app.showcase.shelf import Shelf
from app.stock.gate import Gate
from app.stock.hints import Hints

# Beside the committer's lanes: one look-up of keys and one of addresses at a time.
LOOKUP_CONNECTIONS = 2


@dataclass(slots=True)
class Services:
    """What verbs may need. A verb takes it whole, or better the parts it uses."""

    settings: Settings
    clock: Clock
    pool: Pool
    valkey: Valkey
    redis: redis.Redis
    jobs: Jobs
    ids: IdMaker
    authenticator: Authenticator
    rate_limiter: RateLimiter
    anonymous_limiter: RateLimiter
    # an address may try as many unknown codes as one buyer, whomever it stands for
    code_limiter: RateLimiter
    prices: PriceSnapshots
    shelf: Shelf
    coupons: HeldCoupons
    codes: KnownCodes
    regions: Regions
    taking: Taking
    quotes: KeptQuotes
    purses: Purses
    rule_uses: RuleUses
    buyers: Buyers
    gate: Gate
    placing: Placing
    joining: Joining
    watching: Watching
    cards: Cards
    hints: Hints
    channels: Channels
    intake: Intake


class Stoppable(Protocol):
    async def stop(self) -> None: ...


Opened = TypeVar("Opened", bound=Stoppable)


@asynccontextmanager
async def open_services(
    settings: Settings, *, name: str, clock: Clock | None = None, load_prices: bool = True
) -> AsyncIterator[Services]:
    """Open everything, close it in reverse order at the end. `name` tells processes apart in Postgres.

    A process that prices nothing (`load_prices` false) is spared the price book.
    """
    clock = clock or _clock(settings)
    async with AsyncExitStack() as closing:
        pool = await _open_pool(settings, settings.postgres_pool_max, name)
        closing.push_async_callback(pool.close)
        commit_pool = await _open_pool(settings, settings.lanes_max + LOOKUP_CONNECTIONS, f"{name} commit")
        closing.push_async_callback(commit_pool.close)
        client = open_client(settings.redis_url, connections_max=settings.redis_pool_max)
        closing.push_async_callback(client.aclose)
        valkey = Valkey(settings.redis_url, connections_max=settings.redis_pool_max)
        closing.push_async_callback(valkey.close)
        ids = await _stopped(closing, NodeLease(pool)).start()
        prices = _stopped(closing, PriceSnapshots(pool, clock, settings.lanes))
        if load_prices:
            await prices.start()
        shelf = _stopped(closing, Shelf(pool, clock, prices))
        if load_prices:
            await shelf.start()
        coupons = _stopped(closing, HeldCoupons(pool, valkey, clock))
        taking = _stopped(closing, open_taking(pool, valkey, coupons))
        quotes = _stopped(closing, KeptQuotes(valkey, settings.quote_ttl_s))
        purses = _stopped(closing, Purses(pool, clock))
        rule_uses = _stopped(closing, RuleUses(pool))
        buyers = _stopped(closing, Buyers(pool))
        gate = _stopped(closing, Gate(valkey, pool))
        hints = _stopped(closing, Hints(pool))
        if load_prices:
            await hints.start()
        placing = _stopped(closing, open_placing(commit_pool, gate, settings))
        joining = _stopped(closing, open_joining(pool, valkey, gate, clock, settings))
        channels = Channels(settings)
        closing.push_async_callback(channels.close)
        intake = _stopped(closing, Intake(pool, clock, settings, channels, gate, coupons))
        yield Services(
            settings=settings,
            clock=clock,
            pool=pool,
            valkey=valkey,
            redis=client,
            jobs=Jobs(client),
            ids=ids,
            authenticator=Authenticator(settings, clock),
            rate_limiter=_limiter(settings, 1),
            anonymous_limiter=_limiter(settings, ANONYMOUS_SHARE),
            code_limiter=_limiter(settings, 1),
            prices=prices,
            shelf=shelf,
            coupons=coupons,
            codes=_stopped(closing, KnownCodes(pool)),
            regions=Regions(pool),
            taking=taking,
            quotes=quotes,
            purses=purses,
            rule_uses=rule_uses,
            buyers=buyers,
            gate=gate,
            placing=placing,
            joining=joining,
            watching=_stopped(closing, Watching(pool, client, clock, settings.base_url())),
            cards=_stopped(closing, open_cards()),
            hints=hints,
            channels=channels,
            intake=intake,
        )


def _stopped(closing: AsyncExitStack, opened: Opened) -> Opened:
    """What was opened is stopped at the end."""
    closing.push_async_callback(opened.stop)
    return opened


async def _open_pool(settings: Settings, size_max: int, name: str) -> Pool:
    return await open_pool(
        settings.database_url,
        size_max=size_max,
        statement_timeout_ms=settings.statement_timeout_ms,
        name=name,
    )


def _clock(settings: Settings) -> Clock:
    if settings.clock_offset_s:
        return OffsetClock(timedelta(seconds=settings.clock_offset_s))
    return SystemClock()


def _limiter(settings: Settings, times: int) -> RateLimiter:
    """That of a buyer, or of an address that stands for many."""
    return RateLimiter(settings.rate_limit_per_s * times, settings.rate_limit_burst * times)
