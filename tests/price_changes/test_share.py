"""A price change is shared so that the parts sum exactly and no line costs less than nothing."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lib.errors import AppError
from app.price_changes.errors import PriceChangeMismatch, PriceChangeTooHigh
from app.price_changes.schemas import LineChange, PriceChangeRequest
from app.price_changes.share import Line, share_change

LINES = [Line(1, 1_000, 0, 0), Line(2, 1_000, 500, 70), Line(3, 1_000, 100, 0)]


def shared(**wanted: Any) -> list[int]:
    return share_change(LINES, PriceChangeRequest("agreed", **wanted))


def test_an_amount_is_split_by_what_the_lines_cost() -> None:
    assert shared(amount_minor=1_000) == [334, 333, 333]


def test_each_line_can_be_named_and_the_others_keep_their_price() -> None:
    assert shared(lines=[LineChange("3", 1_000), LineChange("1", 1)]) == [1, 0, 1_000]


def test_freight_comes_off_the_lines_that_bear_it() -> None:
    assert shared(freight_minor=300) == [0, 250, 50]
    assert shared(amount_minor=3_000, freight_minor=600) == [1_000, 1_500, 1_100]


def test_a_change_of_nothing_takes_the_earlier_one_back() -> None:
    assert shared() == [0, 0, 0]


@pytest.mark.parametrize(
    ("wanted", "error", "members"),
    [
        ({"amount_minor": 3_001}, PriceChangeTooHigh, {"most_minor": 3_000}),
        ({"freight_minor": 601}, PriceChangeTooHigh, {"most_minor": 600}),
        (
            {"lines": [LineChange("2", 1_001)]},
            PriceChangeTooHigh,
            {"line_id": "2", "most_minor": 1_000},
        ),
        ({"lines": [LineChange("4", 1)]}, PriceChangeMismatch, {"line_id": "4"}),
        ({"lines": [LineChange("1", 1), LineChange("1", 1)]}, PriceChangeMismatch, {"line_id": "1"}),
    ],
)
def test_what_cannot_be_taken_off_is_refused(
    wanted: dict[str, Any], error: type[AppError], members: dict[str, Any]
) -> None:
    with pytest.raises(error) as refused:
        shared(**wanted)
    assert refused.value.members == members


def test_an_amount_beside_lines_says_two_things() -> None:
    body = b'{"reason": "r", "amount_minor": 1, "lines": [{"line_id": "1", "amount_minor": 1}]}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=PriceChangeRequest)


amounts = st.integers(0, 10**12)


@given(st.lists(st.tuples(amounts, amounts), min_size=1, max_size=8), st.data())
def test_parts_sum_exactly_and_no_line_falls_below_zero(parts: list[tuple[int, int]], data: Any) -> None:
    lines = [Line(n, price, freight, 0) for n, (price, freight) in enumerate(parts)]
    off = data.draw(st.integers(0, sum(price for price, _ in parts)))
    off_freight = data.draw(st.integers(0, sum(freight for _, freight in parts)))
    changes = share_change(lines, PriceChangeRequest("r", off, freight_minor=off_freight))
    assert sum(changes) == off + off_freight
    assert all(line.payable_minor(change) >= 0 for line, change in zip(lines, changes, strict=True))
