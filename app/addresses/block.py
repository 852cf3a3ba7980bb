"""The blocklist: phones, regions (or whole countries) and buyers that nothing is sent to."""

from __future__ import annotations

from app.addresses.check import phone_digits
from app.addresses.schemas import Block, Blocked, BlockKind
from app.lib.page import Page, after
from app.lib.postgres import Pool
from app.lib.sql import load

sql = load("addresses")


async def block(pool: Pool, kind: BlockKind, value: str, document: Block) -> Blocked:
    """Phones are kept as their digits."""
    value = _kept_as(kind, value)
    await pool.execute(sql.block, kind, value, document.reason)
    return Blocked(kind, value, document.reason)


async def unblock(pool: Pool, kind: BlockKind, value: str) -> None:
    """Nothing happens when it is not on the list."""
    await pool.execute(sql.unblock, kind, _kept_as(kind, value))


async def list_blocked(pool: Pool, kind: BlockKind, cursor: str, limit: int) -> Page[Blocked]:
    rows = await pool.fetch(sql.list_blocked, kind, after(cursor), limit + 1)
    return Page.cut_by_name([Blocked(**row) for row in rows], limit, lambda entry: entry.value)


def _kept_as(kind: BlockKind, value: str) -> str:
    return phone_digits(value) if kind == "phone" else value
