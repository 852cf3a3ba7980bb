"""What an order takes of balances, line by line: from its lines' discounts to rows of `order_deduction`.

Pure. The parts of one balance sum to what is taken of it. Points are whole: they are split over the lines in
proportion to what they lowered each by, by the largest remainder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from app.balances.accounts import KINDS, POINTS, card_account, packet_account, points_account
from app.checkout.schemas import Deduction, LineDraft
from app.lib.money import split_pro_rata


def draft_deductions(
    buyer_id: str, currency: str, lines: Iterable[LineDraft], points_used: int
) -> list[Deduction]:
    accounts = {"red_packet": packet_account, "gift_card": card_account}
    found = []
    for line in lines:
        for discount in line.discounts or ():
            if discount.kind not in KINDS:
                continue
            is_points = discount.kind == "points"
            account = points_account(buyer_id) if is_points else accounts[discount.kind](discount.rule_id)
            found.append(
                Deduction(
                    line.order_id,
                    line.line_id,
                    discount.kind,
                    discount.rule_id,
                    account,
                    POINTS if is_points else currency,
                    discount.amount_minor,
                    discount.amount_minor,
                )
            )
    points = [each for each in found if each.kind == "points"]
    parts = split_pro_rata(points_used, [each.amount_minor for each in points])
    for each, part in zip(points, parts, strict=True):
        each.amount = part
    return found


class Taken(msgspec.Struct, frozen=True, gc=False):
    """What an order takes of one balance in all."""

    kind: str
    source_id: str
    account: str
    currency: str
    amount: int


def sum_up(deductions: Iterable[Deduction]) -> list[Taken]:
    """By balance."""
    amounts: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for each in deductions:
        amounts[each.kind, each.source_id, each.account, each.currency] += each.amount
    return [Taken(*key, amount=amount) for key, amount in amounts.items()]


class LineShare(msgspec.Struct, frozen=True):
    """What a line took of a balance and has not come back, or the part of it that now does."""

    order_id: int
    line_id: int
    kind: str
    account: str
    currency: str
    amount: int
    amount_minor: int
