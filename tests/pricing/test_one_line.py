"""A rule on one line, and on several together, gives the same whichever way it is computed."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.lib.money import split_pro_rata
from app.pricing.book import InForce
from app.pricing.effects import EFFECTS, in_scope
from app.pricing.lines import Line
from app.pricing.one_line import ONE_LINE
from app.pricing.walk import Entry, Miss, Step, start, walk_on
from tests.pricing.build import promotion, sku

AMOUNTS = st.integers(1, 30_000)
PERCENTS = st.integers(1, 10_000)
NOTHING = InForce(0, 0, [], [])


@st.composite
def tier_documents(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from(["min_amount_minor", "min_quantity"]))
    thresholds = draw(st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True))
    times = 1_000 if field == "min_amount_minor" else 1
    gives = draw(st.sampled_from(["amount_off_minor", "percent_bp"]))
    gift = AMOUNTS if gives == "amount_off_minor" else PERCENTS
    each = [{field: threshold * times, gives: draw(gift)} for threshold in thresholds]
    return {
        "kind": "tiers",
        "tiers": each,
        "repeat": gives == "amount_off_minor" and draw(st.booleans()),
    }


EFFECT_DOCUMENTS = st.one_of(
    st.builds(lambda bp: {"kind": "percent_off", "percent_bp": bp}, PERCENTS),
    st.builds(
        lambda amount, per: {"kind": "amount_off", "amount_minor": amount, "per": per},
        AMOUNTS,
        st.sampled_from(["unit", "line", "order"]),
    ),
    st.builds(lambda price: {"kind": "fixed_price", "price_minor": price}, st.integers(0, 12_000)),
    tier_documents(),
)


@settings(max_examples=400)  # so that each kind meets each limit
@given(
    effect=EFFECT_DOCUMENTS,
    base=st.sampled_from(["list", "discounted"]),
    minimum=st.fixed_dictionaries(
        {},
        optional={"min_amount_minor": st.integers(1, 9_000), "min_quantity": st.integers(1, 6)},
    ),
    cap=st.none() | AMOUNTS,
    price_minor=st.integers(0, 9_000),
    above_minor=st.integers(0, 3_000),
    quantity=st.integers(1, 7),
    left_share=st.integers(0, 100),
)
def test_one_line_takes_what_the_general_way_gives(
    effect: dict[str, Any],
    base: str,
    minimum: dict[str, int],
    cap: int | None,
    price_minor: int,
    above_minor: int,
    quantity: int,
    left_share: int,
) -> None:
    limits = {"max_discount_minor": cap}
    rule = promotion("p", effect, condition={"base": base, **minimum}, limits=limits)
    goods_minor = price_minor * quantity
    line = _line(price_minor, quantity, above_minor)
    walk = start([line])
    walk.left[0] = goods_minor * left_share // 100
    scope = in_scope(rule, [line], [0], walk.left)
    expected = sum(EFFECTS[type(rule.effect)](rule, rule.effect, scope))
    expected = expected if cap is None else min(expected, cap)
    left_before = walk.left[0]
    walk_on(walk, [Entry(rule, "p", [0])], [line])
    missing_minor = max(0, rule.min_amount_minor - scope.base[0]) or None
    missing_quantity = max(0, rule.min_quantity - quantity) or None
    if missing_minor or missing_quantity:
        assert told(walk.misses) == [("minimum_not_met", missing_minor, missing_quantity)]
    elif expected == 0:
        assert told(walk.misses) == [("gave_nothing", None, None)]
    else:
        assert given_by(walk.steps) == [([0], [expected], expected)]
        assert walk.left == [left_before - expected]


@settings(max_examples=400)
@given(
    effect=EFFECT_DOCUMENTS,
    base=st.sampled_from(["list", "discounted"]),
    minimum=st.fixed_dictionaries(
        {}, optional={"min_amount_minor": st.integers(1, 20_000), "min_quantity": st.integers(1, 9)}
    ),
    cap=st.none() | AMOUNTS,
    lines=st.lists(
        st.tuples(st.integers(0, 9_000), st.integers(1, 5), st.integers(0, 100)), min_size=2, max_size=4
    ),
)
def test_several_lines_together_take_what_the_general_way_gives(
    effect: dict[str, Any],
    base: str,
    minimum: dict[str, int],
    cap: int | None,
    lines: list[tuple[int, int, int]],
) -> None:
    limits = {"max_discount_minor": cap}
    rule = promotion("p", effect, condition={"base": base, **minimum}, limits=limits)
    bought = [_line(price_minor, quantity, above_minor=500) for price_minor, quantity, _ in lines]
    walk = start(bought)
    walk.left = [line.goods_minor * share // 100 for line, (*_, share) in zip(bought, lines, strict=True)]
    left_before, indexes = walk.left.copy(), [*range(len(bought))]
    scope = in_scope(rule, bought, indexes, left_before)
    amounts = EFFECTS[type(rule.effect)](rule, rule.effect, scope)
    if cap is not None and sum(amounts) > cap:
        amounts = split_pro_rata(cap, amounts)
    missing_minor = max(0, rule.min_amount_minor - sum(scope.base)) or None
    missing_quantity = max(0, rule.min_quantity - sum(scope.quantities())) or None
    walk_on(walk, [Entry(rule, "p", indexes)], bought)
    if missing_minor or missing_quantity:
        assert told(walk.misses) == [("minimum_not_met", missing_minor, missing_quantity)]
    elif sum(amounts) == 0:
        assert told(walk.misses) == [("gave_nothing", None, None)]
    else:
        assert given_by(walk.steps) == [(indexes, amounts, sum(amounts))]
        assert walk.left == [left - amount for left, amount in zip(left_before, amounts, strict=True)]


def _line(price_minor: int, quantity: int, above_minor: int) -> Line:
    list_price_minor, goods_minor = price_minor + above_minor, price_minor * quantity
    return Line(sku("a", price_minor), quantity, price_minor, list_price_minor, goods_minor, 1, 99, NOTHING)


def test_every_kind_that_has_a_way_of_its_own_has_the_general_one() -> None:
    assert ONE_LINE.keys() <= EFFECTS.keys()


def told(misses: list[Miss]) -> list[tuple[str, int | None, int | None]]:
    return [(each.code, each.missing_minor, each.missing_quantity) for each in misses]


def given_by(steps: list[Step]) -> list[tuple[list[int], list[int], int]]:
    return [(list(each.indexes), list(each.amounts), each.total_minor) for each in steps]
