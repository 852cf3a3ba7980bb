"""However a paid order is refunded, the parts come to what was paid, to the cent."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.balances.deductions import LineShare
from app.refunds.schemas import RefundLine
from app.refunds.share import (
    Line,
    Part,
    RefundMismatch,
    RefundTooHigh,
    share,
    share_deductions,
    share_earned,
)
from tests.pricing.build import book, priced, promotion, sku

LINES = st.lists(st.tuples(st.integers(1, 7), st.integers(0, 20_000)), min_size=1, max_size=5)
# Which line to refund next and how many of its units; 0 units: an amount off the whole order.
STEPS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7), st.integers(1, 9_999)), max_size=12)


def take(lines: list[Line], parts: list[Part]) -> list[Line]:
    taken = {part.line_id: part for part in parts}
    return [
        msgspec.structs.replace(
            line,
            left_quantity=line.left_quantity - taken[line.line_id].quantity,
            left_minor=line.left_minor - taken[line.line_id].amount_minor,
        )
        if line.line_id in taken
        else line
        for line in lines
    ]


@settings(max_examples=200)
@given(LINES, STEPS)
def test_any_sequence_of_partial_refunds_and_then_the_rest_returns_what_was_paid(
    drawn: list[tuple[int, int]], steps: list[tuple[int, int, int]]
) -> None:
    lines = [Line(1, number, quantity, paid_minor) for number, (quantity, paid_minor) in enumerate(drawn)]
    paid_minor = sum(line.left_minor for line in lines)
    returned_minor = 0
    for number, quantity, amount_minor in steps:
        line = lines[number % len(lines)]
        wanted = [RefundLine(str(line.line_id), min(quantity, line.left_quantity))] if quantity else []
        try:
            parts = share(lines, wanted, None if wanted else amount_minor)
        except (RefundTooHigh, RefundMismatch):
            continue  # nothing left of it
        lines = take(lines, parts)
        returned_minor += sum(part.amount_minor for part in parts)
        assert all(line.left_minor >= 0 and line.left_quantity >= 0 for line in lines)
    if left_minor := sum(line.left_minor for line in lines):
        returned_minor += sum(part.amount_minor for part in share(lines, [], None))
        assert returned_minor - paid_minor == 0, left_minor
    assert returned_minor == paid_minor


def test_units_refunded_one_by_one_come_to_their_line_after_an_order_discount() -> None:
    """A discount of the order was split over the lines when it was placed; what remains stays split."""
    shop = book(
        sku("a", 333),
        sku("b", 1000),
        promotion("p", {"kind": "amount_off", "amount_minor": 100, "per": "order"}),
    )
    result = priced(shop, {"a": 3, "b": 1})
    lines = [
        Line(1, number, line.summary.quantity, line.summary.payable_minor)
        for number, line in enumerate(result.lines)
    ]
    assert [line.left_minor for line in lines] == [949, 950]
    amounts = []
    for _ in range(3):
        parts = share(lines, [RefundLine("0", 1)], None)
        amounts.append(parts[0].amount_minor)
        lines = take(lines, parts)
    assert amounts == [316, 316, 317]
    assert [part.amount_minor for part in share(lines, [], None)] == [950]


DEDUCTIONS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 999), st.integers(1, 9_999)), max_size=6)


@settings(max_examples=200)
@given(LINES, DEDUCTIONS, STEPS)
def test_any_sequence_of_refunds_and_then_the_rest_returns_what_was_taken_of_balances(
    drawn: list[tuple[int, int]], taken: list[tuple[int, int, int]], steps: list[tuple[int, int, int]]
) -> None:
    lines = [Line(1, number, quantity, paid_minor) for number, (quantity, paid_minor) in enumerate(drawn)]
    left = [
        LineShare(1, place % len(lines), "gift_card", f"gift_card:{number}", "CNY", amount, amount_minor)
        for number, (place, amount, amount_minor) in enumerate(taken)
    ]
    lines = [
        msgspec.structs.replace(
            line, left_deducted_minor=sum(each.amount_minor for each in left if each.line_id == line.line_id)
        )
        for line in lines
    ]
    for number, quantity, amount_minor in [*steps, (0, 0, 0)]:
        line = lines[number % len(lines)]
        wanted = [RefundLine(str(line.line_id), min(quantity, line.left_quantity))] if quantity else []
        try:
            parts = share(lines, wanted, None if wanted else amount_minor or None)
        except (RefundTooHigh, RefundMismatch):
            continue  # nothing left of it
        back = {each.account: each for each in share_deductions(lines, parts, left)}
        lines = take(lines, parts)
        left = [lower(each, back[each.account]) if each.account in back else each for each in left]
        assert all(each.amount >= 0 and each.amount_minor >= 0 for each in left)
    assert sum(each.amount + each.amount_minor for each in left) == 0


def lower(left: LineShare, back: LineShare) -> LineShare:
    return msgspec.structs.replace(
        left, amount=left.amount - back.amount, amount_minor=left.amount_minor - back.amount_minor
    )


@given(st.integers(0, 9_999), st.lists(st.integers(1, 9_999), min_size=1, max_size=8))
def test_points_earned_go_with_the_money_and_all_of_them_with_all_of_it(
    earned: int, refunds: list[int]
) -> None:
    captured_minor, before_minor, gone = sum(refunds), 0, 0
    for amount_minor in refunds:
        part = share_earned(earned, before_minor, amount_minor, captured_minor)
        assert part >= 0
        before_minor, gone = before_minor + amount_minor, gone + part
    assert gone == earned
