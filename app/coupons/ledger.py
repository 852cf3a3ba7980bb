"""Coupons being given, in the ledger.

Whoever gives coupons locks their templates, sorted by id: a template's count is one row, so givers wait for
each other, and what they read of its buyers stays true until they commit. `admit.py` decides in between.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from app.coupons.admit import LockedTemplate, Numbers
from app.lib.postgres import Connection, Pool
from app.lib.sql import load
from app.pricing.documents import CouponTemplateDocument

sql = load("coupons")


async def lock(connection: Connection, wanted: Collection[tuple[str, str]]) -> Numbers:
    """Lock the templates of (template, buyer) and read what these buyers have had."""
    return await _numbers(connection, sql.lock_templates, wanted)


async def read(pool: Pool, wanted: Collection[tuple[str, str]]) -> Numbers:
    """The same as of now: whoever gives a coupon locks, and decides anew."""
    return await _numbers(pool, sql.read_templates, wanted)


async def _numbers(
    connection: Connection | Pool, templates_of: str, wanted: Collection[tuple[str, str]]
) -> Numbers:
    rows = await connection.fetch(templates_of, list({template_id for template_id, _ in wanted}))
    templates = {
        row["template_id"]: LockedTemplate(
            row["shop_id"],
            msgspec.convert(row["document"], CouponTemplateDocument),
            row["granted_count"],
        )
        for row in rows
    }
    pairs = list(set(wanted))
    claims = await connection.fetch(sql.read_claims, [each[0] for each in pairs], [each[1] for each in pairs])
    return Numbers(templates, {(row["template_id"], row["buyer_id"]): row["quantity"] for row in claims}, [])


async def write(connection: Connection, numbers: Numbers) -> None:
    """Write what was given: the coupons, what each buyer has had, and each template's count once."""
    given = numbers.given
    if given:
        await connection.execute(
            sql.write_coupons,
            [each.coupon_id for each in given],
            [each.template_id for each in given],
            [each.buyer_id for each in given],
            [each.valid_from for each in given],
            [each.valid_to for each in given],
            [each.per_buyer_max for each in given],
        )
