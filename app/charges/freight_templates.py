"""Create, replace and read freight templates. A template stays with its shop.

A document is in force in this process when the call answers, in every other within a second. The same
document again changes nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.catalog.read import read_shop
from app.charges.documents import FreightTemplateDocument
from app.lib.auth import Caller
from app.lib.errors import Conflict, NotFound
from app.lib.page import Page, after
from app.lib.postgres import Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.pricing.snapshots import PriceSnapshots

sql = load("charges")


class FreightTemplate(FreightTemplateDocument, frozen=True, kw_only=True):
    """A freight template as it is stored."""

    template_id: str


async def put_freight_template(
    pool: Pool,
    prices: PriceSnapshots,
    caller: Caller,
    template_id: str,
    document: FreightTemplateDocument,
) -> FreightTemplate:
    """Raises Forbidden, NotFound (`shop_not_found`), Conflict (`freight_template_of_other_shop`)."""
    caller.require_shop(document.shop_id)
    async with transaction(pool) as connection:
        version = await lock_version(connection, "charges")
        await read_shop(connection, document.shop_id)
        stored = await connection.fetchrow(sql.read_freight_template, template_id)
        if stored is not None and stored["shop_id"] != document.shop_id:
            raise Conflict("the template belongs to another shop", code="freight_template_of_other_shop")
        if await connection.fetchval(
            sql.upsert_freight_template, template_id, document.shop_id, document, version
        ):
            await publish_version(connection, "charges", version)
    await prices.refresh()
    return _template(template_id, msgspec.to_builtins(document))


async def read_freight_template(pool: Pool, caller: Caller, template_id: str) -> FreightTemplate:
    """Raises NotFound (`freight_template_not_found`) and Forbidden."""
    row = await pool.fetchrow(sql.read_freight_template, template_id)
    if row is None:
        raise NotFound(f"there is no freight template {template_id}", code="freight_template_not_found")
    caller.require_shop(row["shop_id"])
    return _template(template_id, row["document"])


async def list_freight_templates(
    pool: Pool, shop_id: str | None, cursor: str, limit: int
) -> Page[FreightTemplate]:
    rows = await pool.fetch(sql.list_freight_templates, after(cursor), shop_id, limit + 1)
    found = [_template(row["template_id"], row["document"]) for row in rows]
    return Page.cut_by_name(found, limit, lambda template: template.template_id)


def _template(template_id: str, document: dict[str, Any]) -> FreightTemplate:
    return msgspec.convert({**document, "template_id": template_id}, FreightTemplate)
