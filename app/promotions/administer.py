"""Create, replace and read promotions. An operator has all of them, a merchant those of its own shop.

A document is in force in this process when the call answers, in every other within a second. The same
document again changes nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.bootstrap import Services
from app.catalog.read import read_shop
from app.lib.auth import Caller
from app.lib.errors import NotFound, Unavailable
from app.lib.page import Page, after
from app.lib.postgres import Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.pricing.documents import PromotionDocument
from app.promotions.check_effect import check_effect
from app.promotions.floor import BelowFloor, Floored, below_floor

sql = load("promotions")
uses_of_rule = load("rule_uses").uses_of_rule

# A check takes up to a second; as many others in a row in that time are an import, which can try again.
CHECKS_MAX = 10


class Promotion(PromotionDocument, frozen=True, kw_only=True):
    """A promotion as it is stored."""

    promotion_id: str


async def put_promotion(
    services: Services,
    caller: Caller,
    promotion_id: str,
    document: PromotionDocument,
    *,
    override: bool = False,
) -> Promotion:
    """Raises Forbidden, NotFound (`shop_not_found`), EffectSkuUnknown, and BelowFloor unless overridden.

    Two that are published together are no lower than one after the other. Raises Unavailable where others are
    published faster than this one is checked.
    """
    caller.require_shop(document.shop_id or "")
    for _ in range(CHECKS_MAX):
        floored = await below_floor(services, caller, promotion_id, document)
        violations = floored.violations
        if violations and not override:
            raise BelowFloor(sku_ids=sorted({each.sku_id for each in violations}), violations=violations)
        stored = await _store(services, caller, promotion_id, document, floored)
        await services.prices.refresh()
        if stored:
            return _promotion(promotion_id, msgspec.to_builtins(document))
    raise Unavailable("others are publishing promotions right now")


async def _store(
    services: Services, caller: Caller, promotion_id: str, document: PromotionDocument, floored: Floored
) -> bool:
    """Whether it was: not, where it was checked beside promotions that have changed meanwhile."""
    async with transaction(services.pool) as connection:
        version = await lock_version(connection, "promotions")
        if floored.version not in (None, version - 1):
            return False
        if document.shop_id is not None:
            await read_shop(connection, document.shop_id)
        if document.enabled:  # one whose gift was withdrawn can still be switched off
            await check_effect(connection, document.shop_id, document.effect)
        stored = await connection.fetchrow(sql.read_promotion, promotion_id)
        if stored is not None:
            caller.require_shop(stored["shop_id"] or "")
        if await connection.fetchval(sql.upsert_promotion, promotion_id, document.shop_id, document, version):
            await publish_version(connection, "promotions", version)
            if floored.violations:
                by, now = caller.sub, services.clock.now()
                await connection.execute(
                    sql.keep_override, promotion_id, version, by, now, floored.violations
                )
    return True


async def read_promotion(pool: Pool, caller: Caller, promotion_id: str) -> Promotion:
    """Raises NotFound (`promotion_not_found`) and Forbidden."""
    row = await pool.fetchrow(sql.read_promotion, promotion_id)
    if row is None:
        raise NotFound(f"there is no promotion {promotion_id}", code="promotion_not_found")
    caller.require_shop(row["shop_id"] or "")
    return _promotion(promotion_id, row["document"])


async def list_promotions(pool: Pool, shop_id: str | None, cursor: str, limit: int) -> Page[Promotion]:
    rows = await pool.fetch(sql.list_promotions, after(cursor), shop_id, limit + 1)
    found = [_promotion(row["promotion_id"], row["document"]) for row in rows]
    return Page.cut_by_name(found, limit, lambda promotion: promotion.promotion_id)


def _promotion(promotion_id: str, document: dict[str, Any]) -> Promotion:
    return msgspec.convert({**document, "promotion_id": promotion_id}, Promotion)


class PromotionUses(msgspec.Struct, frozen=True):
    """What live orders have taken of a promotion with limits, since it has them.

    `uses` where it has `uses_max`; `given_minor` by currency where it has a budget.
    """

    uses: int
    given_minor: dict[str, int]


async def read_uses(pool: Pool, caller: Caller, promotion_id: str) -> PromotionUses:
    """Raises NotFound (`promotion_not_found`) and Forbidden."""
    await read_promotion(pool, caller, promotion_id)
    rows = await pool.fetch(uses_of_rule, "promotion", promotion_id)
    return PromotionUses(
        uses=sum(row["taken"] for row in rows if row["measure"] == "uses"),
        given_minor={row["whose"]: row["taken"] for row in rows if row["measure"] == "budget"},
    )
