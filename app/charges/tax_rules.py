"""Create, replace and read tax rules. An operator has all of them, a merchant those of its own shop.

As for freight templates, a document is in force in this process when the call answers, in every other within
a second, and the same document again changes nothing.
"""

from __future__ import annotations

from typing import Any

import msgspec

from app.catalog.read import read_shop
from app.charges.documents import TaxRuleDocument
from app.lib.auth import Caller
from app.lib.errors import NotFound
from app.lib.page import Page, after
from app.lib.postgres import Pool, transaction
from app.lib.snapshot_version import lock_version, publish_version
from app.lib.sql import load
from app.pricing.snapshots import PriceSnapshots

sql = load("charges")


class TaxRule(TaxRuleDocument, frozen=True, kw_only=True):
    """A tax rule as it is stored."""

    tax_rule_id: str


async def put_tax_rule(
    pool: Pool, prices: PriceSnapshots, caller: Caller, tax_rule_id: str, document: TaxRuleDocument
) -> TaxRule:
    """Raises Forbidden and NotFound (`shop_not_found`)."""
    caller.require_shop(document.shop_id or "")
    async with transaction(pool) as connection:
        version = await lock_version(connection, "charges")
        if document.shop_id is not None:
            await read_shop(connection, document.shop_id)
        stored = await connection.fetchrow(sql.read_tax_rule, tax_rule_id)
        if stored is not None:
            caller.require_shop(stored["shop_id"] or "")
        if await connection.fetchval(sql.upsert_tax_rule, tax_rule_id, document.shop_id, document, version):
            await publish_version(connection, "charges", version)
    await prices.refresh()
    return _tax_rule(tax_rule_id, msgspec.to_builtins(document))


async def read_tax_rule(pool: Pool, caller: Caller, tax_rule_id: str) -> TaxRule:
    """Raises NotFound (`tax_rule_not_found`) and Forbidden."""
    row = await pool.fetchrow(sql.read_tax_rule, tax_rule_id)
    if row is None:
        raise NotFound(f"there is no tax rule {tax_rule_id}", code="tax_rule_not_found")
    caller.require_shop(row["shop_id"] or "")
    return _tax_rule(tax_rule_id, row["document"])


async def list_tax_rules(pool: Pool, shop_id: str | None, cursor: str, limit: int) -> Page[TaxRule]:
    rows = await pool.fetch(sql.list_tax_rules, after(cursor), shop_id, limit + 1)
    found = [_tax_rule(row["tax_rule_id"], row["document"]) for row in rows]
    return Page.cut_by_name(found, limit, lambda rule: rule.tax_rule_id)


def _tax_rule(tax_rule_id: str, document: dict[str, Any]) -> TaxRule:
    return msgspec.convert({**document, "tax_rule_id": tax_rule_id}, TaxRule)
