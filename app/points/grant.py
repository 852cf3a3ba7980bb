"""An operator gives points to buyers, once a key: all of them or none."""

from __future__ import annotations

import msgspec

from app.bootstrap import Services
from app.lib.auth import Caller
from app.lib.idempotency import Answer, identify, run_once
from app.lib.postgres import Connection
from app.points.credit import Credit, credit, expiry
from app.points.rules import read_points_rules
from app.points.schemas import GrantedPoints, GrantPoints


async def grant_points(services: Services, caller: Caller, key: str | None, wanted: GrantPoints) -> Answer:
    """Raises what a wrong Idempotency-Key does."""
    once = identify("points/grants", caller.sub, key, wanted)

    async def effect(connection: Connection) -> Answer:
        now = services.clock.now()
        expires_at = expiry(await read_points_rules(connection), now, wanted.valid_days)
        incoming = [
            Credit(services.ids.next(), buyer_id, wanted.points, expires_at) for buyer_id in wanted.user_ids
        ]
        await credit(connection, "points_granted", incoming, now)
        granted = GrantedPoints(len(incoming), wanted.points, expires_at)
        return Answer(200, msgspec.json.encode(granted))

    return await run_once(services.pool, once, effect)
