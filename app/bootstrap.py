"""The composition root: everything with a lifetime is made here, handed to the verbs, and closed here.

Enter with the settings, leave with `Services`; nothing connects at import. The API, the worker and the
commands all start from here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import redis.asyncio as redis

from app.coupons.held import HeldCoupons
from app.lib.auth import Authenticator, RateLimiter
from app.lib.clock import Clock, OffsetClock, SystemClock
from app.lib.hot import ANONYMOUS_SHARE
from app.lib.ids import IdMaker, NodeLease
from app.lib.postgres import Pool, open_pool
from app.lib.valkey import Valkey, open_client
from app.pricing.snapshots import PriceSnapshots
from app.settings import Settings


@dataclass(slots=True)
class Services:
    """What verbs may need. A verb takes it whole, or better the parts it uses."""

    settings: Settings
    clock: Clock
    pool: Pool
    valkey: Valkey
    redis: redis.Redis
    ids: IdMaker
    authenticator: Authenticator
    rate_limiter: RateLimiter
    anonymous_limiter: RateLimiter
    prices: PriceSnapshots
    coupons: HeldCoupons


@asynccontextmanager
async def open_services(
    settings: Settings, *, name: str, clock: Clock | None = None, load_prices: bool = True
) -> AsyncIterator[Services]:
    """Open everything, close it in reverse order at the end. `name` tells processes apart in Postgres.

    A process that prices nothing (`load_prices` false) is spared the price book.
    """
    clock = clock or _clock(settings)
    pool = await open_pool(
        settings.database_url,
        size_max=settings.postgres_pool_max,
        statement_timeout_ms=settings.statement_timeout_ms,
        name=name,
    )
    client = open_client(settings.redis_url, connections_max=settings.redis_pool_max)
    lease = NodeLease(pool)
    valkey = Valkey(client)
    prices = PriceSnapshots(pool, clock)
    coupons = HeldCoupons(pool, valkey, clock)
    try:
        if load_prices:
            await prices.start()
        yield Services(
            settings=settings,
            clock=clock,
            pool=pool,
            valkey=valkey,
            redis=client,
            ids=await lease.start(),
            authenticator=Authenticator(settings, clock),
            rate_limiter=RateLimiter(settings.rate_limit_per_s, settings.rate_limit_burst),
            anonymous_limiter=RateLimiter(
                settings.rate_limit_per_s * ANONYMOUS_SHARE, settings.rate_limit_burst * ANONYMOUS_SHARE
            ),
            prices=prices,
            coupons=coupons,
        )
    finally:
        await prices.stop()
        await coupons.stop()
        await lease.stop()
        await valkey.close()
        await pool.close()


def _clock(settings: Settings) -> Clock:
    if settings.clock_offset_s:
        return OffsetClock(timedelta(seconds=settings.clock_offset_s))
    return SystemClock()
