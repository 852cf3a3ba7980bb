"""Splits and percentages: exact to the minor unit."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.lib.money import decimals_of, is_currency, percent_half_up, split_pro_rata


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),
        (20, [1, 1, 1], [7, 7, 6]),
        (1, [1, 1], [1, 0]),
        (1, [1, 2], [0, 1]),
        (100, [0, 5, 0], [0, 100, 0]),
        (3, [3], [3]),
        (5, [0, 0], [0, 0]),
        (0, [3, 4], [0, 0]),
        (7, [10, 10, 10, 10], [2, 2, 2, 1]),
        (1000, [333, 333, 334], [333, 333, 334]),
        (2, [1, 6, 1], [0, 2, 0]),
    ],
)
def test_a_total_is_split_by_the_largest_remainder_with_ties_to_the_earlier(
    total: int, weights: list[int], parts: list[int]
) -> None:
    assert split_pro_rata(total, weights) == parts


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=12), st.data())
def test_parts_sum_exactly_and_stay_within_one_unit_of_their_share_and_under_their_weight(
    weights: list[int], data: st.DataObject
) -> None:
    total = data.draw(st.integers(0, sum(weights)))
    parts = split_pro_rata(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert 0 <= part <= weight
        assert abs(part - Fraction(total * weight, sum(weights) or 1)) < 1


@pytest.mark.parametrize(
    ("amount", "percent_bp", "rounded"),
    [(1000, 1500, 150), (5, 5000, 3), (3, 5000, 2), (1, 4999, 0), (333, 3333, 111), (10**12, 10_000, 10**12)],
)
def test_a_percentage_is_rounded_half_up(amount: int, percent_bp: int, rounded: int) -> None:
    assert percent_half_up(amount, percent_bp) == rounded


def test_currencies_have_the_decimals_of_iso_4217() -> None:
    assert [decimals_of(code) for code in ("CNY", "JPY", "KWD", "CLF", "USD", "ISK")] == [2, 0, 3, 4, 2, 0]
    assert not is_currency("XXA")
