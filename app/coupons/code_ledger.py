"""Codes in the ledger: read for a price, locked to be redeemed, and written.

Whoever redeems locks the one-time codes, then the templates, each sorted (app/coupons/ledger.py): so a code
is redeemed once however many come with it at the same moment. `codes.py` decides in between.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from app.coupons import ledger
from app.coupons.admit import Numbers
from app.coupons.codes import Code, Codes
from app.lib.postgres import Connection, Pool
from app.lib.sql import load

sql = load("coupon_codes")

# (code, buyer)
Shown = tuple[str, str]


async def lock(connection: Connection, shown: Collection[Shown]) -> Codes:
    """What these codes are worth to these buyers; true until the transaction ends."""
    codes = sorted({code for code, _ in shown})
    await connection.fetch(sql.lock_codes, codes)
    found = await _find(connection, codes)
    pairs = _pairs(found, shown)
    numbers = await ledger.lock(connection, pairs)
    return Codes(found, numbers, await _invited(connection, found, pairs))


async def read(pool: Pool, shown: Collection[Shown]) -> Codes:
    """The same as of now, for a price: redeeming decides."""
    found = await _find(pool, sorted({code for code, _ in shown}))
    if not found:
        return Codes({}, Numbers({}, {}), set())
    pairs = _pairs(found, shown)
    return Codes(found, await ledger.read(pool, pairs), await _invited(pool, found, pairs))


async def write(connection: Connection, codes: Codes) -> None:
    """Write what was redeemed: the coupons, which one-time code became which, who came by whose code."""
    await ledger.write(connection, codes.numbers)
    one_time = [each for each in codes.redeemed if codes.found[each.code].is_one_time]
    if one_time:
        await connection.execute(
            sql.use_codes, [each.code for each in one_time], [each.coupon_id for each in one_time]
        )
    invited = [each for each in codes.redeemed if codes.found[each.code].inviter_id is not None]
    if invited:
        await connection.execute(
            sql.add_invites,
            [codes.found[each.code].template_id for each in invited],
            [each.buyer_id for each in invited],
            [codes.found[each.code].inviter_id for each in invited],
            [each.coupon_id for each in invited],
            [each.reward_id for each in invited],
        )


async def _find(connection: Connection | Pool, codes: list[str]) -> dict[str, Code]:
    found: dict[str, Code] = {}
    for row in await connection.fetch(sql.find_codes, codes):
        known = Code(
            row["template_id"],
            row["is_one_time"],
            row["coupon_id"],
            row["inviter_id"],
            row["inviter_template_id"],
        )
        found.setdefault(row["code"], known)  # a shop may have chosen a code that exists
    return found


def _pairs(found: Mapping[str, Code], shown: Collection[Shown]) -> set[tuple[str, str]]:
    """(template, buyer) of all who would get a coupon, inviters too."""
    pairs: set[tuple[str, str]] = set()
    for code, buyer_id in shown:
        if (known := found.get(code)) is not None:
            pairs.add((known.template_id, buyer_id))
            if known.inviter_id is not None and known.inviter_template_id is not None:
                pairs.add((known.inviter_template_id, known.inviter_id))
    return pairs


async def _invited(
    connection: Connection | Pool, found: Mapping[str, Code], pairs: Collection[tuple[str, str]]
) -> set[tuple[str, str]]:
    """Of these buyers those who were invited before; while the templates are locked nobody else is."""
    inviting = {known.template_id for known in found.values() if known.inviter_id is not None}
    asked = [pair for pair in pairs if pair[0] in inviting]
    if not asked:
        return set()
    rows = await connection.fetch(sql.read_invited, [each[0] for each in asked], [each[1] for each in asked])
    return {(row["template_id"], row["buyer_id"]) for row in rows}
