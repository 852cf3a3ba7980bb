"""What an order takes of limited rules: budgets, uses, uses of one buyer (app/checkout/claims.py).

Taken when the order is placed, given back when it is canceled. A rule that gave nothing is not used. Whoever
comes too late is told the price without the rule (app/checkout/place.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from app.checkout.errors import RuleSpent
from app.checkout.schemas import Checkout
from app.lib.postgres import Connection
from app.lib.sql import load
from app.pricing.limits import UseKey

sql = load("rule_uses")

# What has been taken so far.
Uses = dict[UseKey, int]


def wanted_by(checkout: Checkout) -> bool:
    """A use may count nothing: of a gift whose rule has a budget alone, of a limit lifted since a quote."""
    return bool(checkout.uses) and bool(_wants(checkout))


async def lock(connection: Connection, checkouts: Sequence[Checkout]) -> Uses:
    keys = {key for each in checkouts for key, _, _ in _wants(each)}
    columns = [list(column) for column in zip(*keys, strict=True)]
    await connection.execute(sql.open_uses, *columns)
    return {tuple(row)[:4]: row["taken"] for row in await connection.fetch(sql.lock_uses, *columns)}


def refuse(checkout: Checkout, uses: Uses) -> RuleSpent | None:
    spent = [key for key, wanted, most in _wants(checkout) if uses[key] + wanted > most]
    return RuleSpent({key: uses[key] for key in spent}) if spent else None


def take(checkout: Checkout, uses: Uses) -> None:
    for key, wanted, _ in _wants(checkout):
        uses[key] += wanted


async def write(connection: Connection, placed: Sequence[Checkout], _: Uses) -> None:
    entries = [(each.root.order_id, *key, wanted) for each in placed for key, wanted, _ in _wants(each)]
    await connection.execute(sql.take_uses, *map(list, zip(*entries, strict=True)))


async def give_back(connection: Connection, order_ids: Sequence[int]) -> None:
    """These orders (roots) are canceled: what they took can be taken again."""
    await connection.execute(sql.return_uses, order_ids)


def _wants(checkout: Checkout) -> list[tuple[UseKey, int, int]]:
    """What is counted, how much of it the checkout takes, and how much there may be in all."""
    return [want for use in checkout.uses for want in use.wants(checkout.buyer_id, checkout.root.currency)]
