"""How a refund is shared by an order's lines.

Enters: the lines with what has been asked back of each, and the request. Leaves: a part per line. No I/O.
Must hold: no line gives more than is left of it, in units or money; the last unit of a line takes its rest,
so that units refunded one by one add up to what was paid.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.balances.deductions import LineShare
from app.lib.errors import Conflict, Unprocessable
from app.lib.money import split_pro_rata
from app.refunds.schemas import RefundLine


class RefundTooHigh(Conflict):
    """More than is left: it was refunded or asked back before, perhaps a moment ago."""

    code = "refund_too_high"
    title = "More than is left to refund"


class RefundMismatch(Unprocessable):
    code = "refund_mismatch"
    title = "The refund does not fit the order"


class Line(msgspec.Struct, frozen=True):
    """A line of a paid order; `left` is what has not been asked back yet."""

    order_id: int
    line_id: int
    left_quantity: int
    left_minor: int
    # what points, red packets and gift cards paid of it
    left_deducted_minor: int = 0


class Part(msgspec.Struct, frozen=True):
    order_id: int
    line_id: int
    quantity: int
    amount_minor: int


def share(lines: Sequence[Line], wanted: Sequence[RefundLine], amount_minor: int | None) -> list[Part]:
    """Raises RefundTooHigh, RefundMismatch."""
    if wanted:
        return _share_by_line(lines, wanted, amount_minor)
    left_minor = sum(line.left_minor for line in lines)
    if amount_minor is None or amount_minor == left_minor:
        parts = [Part(line.order_id, line.line_id, line.left_quantity, line.left_minor) for line in lines]
    elif amount_minor > left_minor:
        raise RefundTooHigh(f"{left_minor} are left", left_minor=left_minor)
    else:
        amounts = split_pro_rata(amount_minor, [line.left_minor for line in lines])
        parts = [
            Part(line.order_id, line.line_id, 0, amount) for line, amount in zip(lines, amounts, strict=True)
        ]
    if left_minor == 0 and not any(line.left_deducted_minor for line in lines):
        raise RefundTooHigh("nothing is left", left_minor=0)
    return [part for part in parts if part.quantity or part.amount_minor]


def _share_by_line(
    lines: Sequence[Line], wanted: Sequence[RefundLine], amount_minor: int | None
) -> list[Part]:
    by_id = {str(line.line_id): line for line in lines}
    if len({want.line_id for want in wanted}) < len(wanted):
        raise RefundMismatch("a line is named twice")
    parts = []
    for want in wanted:
        line = by_id.get(want.line_id)
        if line is None:
            raise RefundMismatch(f"the order has no line {want.line_id}", line_id=want.line_id)
        parts.append(_part(line, want))
    total_minor = sum(part.amount_minor for part in parts)
    if amount_minor is not None and amount_minor != total_minor:
        raise RefundMismatch(f"the lines come to {total_minor}", lines_minor=total_minor)
    if total_minor == 0 and not any(
        part.quantity and by_id[str(part.line_id)].left_deducted_minor for part in parts
    ):
        raise RefundMismatch("nothing would go back")
    return parts


def _part(line: Line, want: RefundLine) -> Part:
    amount_minor = want.amount_minor
    if want.quantity > line.left_quantity or (amount_minor or 0) > line.left_minor:
        raise RefundTooHigh(
            f"line {want.line_id}: {line.left_quantity} units, {line.left_minor} are left",
            line_id=want.line_id,
            left_quantity=line.left_quantity,
            left_minor=line.left_minor,
        )
    if amount_minor is None:
        units = line.left_quantity
        amount_minor = line.left_minor * want.quantity // units if units else 0
    return Part(line.order_id, line.line_id, want.quantity, amount_minor)


def share_deductions(
    lines: Sequence[Line], parts: Sequence[Part], left: Sequence[LineShare]
) -> list[LineShare]:
    """What of each line's points, red packets and gift cards goes back with its part.

    As the units are to those that are left, or, where no units go back, as the money is: so the last unit, or
    the last of the money, takes the rest, and whatever the sequence, all comes back.
    """
    portions = {}
    by_id = {(line.order_id, line.line_id): line for line in lines}
    for part in parts:
        line = by_id[part.order_id, part.line_id]
        by_units, by_money = (part.quantity, line.left_quantity), (part.amount_minor, line.left_minor or 1)
        portions[part.order_id, part.line_id] = by_units if part.quantity else by_money
    shares = []
    for each in left:
        portion, whole = portions.get((each.order_id, each.line_id), (0, 1))
        share = msgspec.structs.replace(
            each,
            amount=each.amount * portion // whole,
            amount_minor=each.amount_minor * portion // whole,
        )
        if share.amount or share.amount_minor:
            shares.append(share)
    return shares


def share_earned(earned: int, before_minor: int, amount_minor: int, captured_minor: int) -> int:
    """How many of the points that a payment earned go with this part of it; with all of it, all of them."""
    if captured_minor == 0:
        return 0
    after_minor = before_minor + amount_minor
    return earned * after_minor // captured_minor - earned * before_minor // captured_minor
