"""Create, replace and read coupon templates. An operator has all of them, a merchant those of its own shop.

What a template says holds for the coupons that buyers have already, except their validity, which is set when
a coupon is given. One-time codes are added up to `codes_count` and never taken away.
"""

from __future__ import annotations

from base64 import b32encode
from secrets import token_bytes
from typing import Any

import asyncpg
import msgspec

from app.catalog.read import read_shop
from app.coupons.errors import TemplateNotFound
from app.coupons.schemas import Code, Template
from app.lib.auth import Caller
from app.lib.errors import AppError, Conflict, NotFound
from app.lib.page import Page, after
from app.lib.postgres import Connection, Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.pricing.documents import CouponTemplateDocument
from app.pricing.snapshots import PriceSnapshots
from app.promotions.check_effect import check_effect

sql = load("coupons")

# 80 bits, 16 characters: nobody guesses one, and two never meet.
CODE_BYTES = 10

REFUSALS = {
    "coupon_template_code_key": ("code_taken", "another template has this code"),
    "coupon_template_within_total": ("below_granted", "more coupons than this have been given out already"),
}


async def put_template(
    pool: Pool, prices: PriceSnapshots, caller: Caller, template_id: str, document: CouponTemplateDocument
) -> Template:
    """Raises Forbidden, NotFound (`shop_not_found`, `inviter_template_not_found`), EffectSkuUnknown, Conflict
    (`code_taken`, `below_granted`).
    """
    caller.require_shop(document.shop_id or "")
    try:
        async with transaction(pool) as connection:
            version = await lock_version(connection, "promotions")
            if document.shop_id is not None:
                await read_shop(connection, document.shop_id)
            await check_effect(connection, document.shop_id, document.effect)
            stored = await connection.fetchrow(sql.read_template, template_id)
            if stored is not None:
                caller.require_shop(stored["shop_id"] or "")
            await _check_inviter_template(connection, caller, template_id, document)
            if await _write(connection, template_id, document, version):
                await publish_version(connection, "promotions", version)
            row = await connection.fetchrow(sql.read_template, template_id)
    except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError) as error:
        raise _refusal(error) from None
    await prices.refresh()
    return _template(row)


async def _write(
    connection: Connection, template_id: str, document: CouponTemplateDocument, version: int
) -> bool:
    changed = await connection.fetchval(
        sql.upsert_template,
        template_id,
        document.shop_id,
        document,
        document.code,
        document.quantity_total,
        version,
    )
    missing = (document.codes_count or 0) - await connection.fetchval(sql.count_codes, template_id)
    if missing > 0:
        codes = [new_code() for _ in range(missing)]
        await connection.execute(sql.add_codes, template_id, codes)
    return changed is not None


def new_code() -> str:
    return b32encode(token_bytes(CODE_BYTES)).decode()


async def _check_inviter_template(
    connection: Connection, caller: Caller, template_id: str, document: CouponTemplateDocument
) -> None:
    """What inviters get must exist, and be the caller's to give. Raises NotFound, Forbidden."""
    if document.invite is None or document.invite.inviter_template_id == template_id:
        return
    row = await connection.fetchrow(sql.read_template, document.invite.inviter_template_id)
    if row is None:
        raise NotFound("the inviter's template is not known", code="inviter_template_not_found")
    caller.require_shop(row["shop_id"] or "")


async def read_template(pool: Pool, caller: Caller, template_id: str) -> Template:
    """Raises TemplateNotFound and Forbidden."""
    row = await pool.fetchrow(sql.read_template, template_id)
    if row is None:
        raise TemplateNotFound()
    caller.require_shop(row["shop_id"] or "")
    return _template(row)


async def list_templates(pool: Pool, shop_id: str | None, cursor: str, limit: int) -> Page[Template]:
    rows = await pool.fetch(sql.list_templates, after(cursor), shop_id, limit + 1)
    return Page.cut_by_name([_template(row) for row in rows], limit, lambda template: template.template_id)


async def list_codes(pool: Pool, caller: Caller, template_id: str, cursor: str, limit: int) -> Page[Code]:
    """The one-time codes. Raises TemplateNotFound and Forbidden."""
    await read_template(pool, caller, template_id)
    rows = await pool.fetch(sql.list_codes, template_id, after(cursor), limit + 1)
    return Page.cut_by_name([Code(**row) for row in rows], limit, lambda each: each.code)


def _template(row: Any) -> Template:
    more = {"template_id": row["template_id"], "granted_count": row["granted_count"]}
    return msgspec.convert({**row["document"], **more}, Template)


def _refusal(error: asyncpg.IntegrityConstraintViolationError) -> AppError:
    code, detail = REFUSALS[error.constraint_name or ""]
    return Conflict(detail, code=code)
