"""What holds for every cart and every set of rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.catalog.snapshot import Sku
from app.pricing.priced import Priced
from app.pricing.rules import Rule
from tests.pricing.build import book, coupon, freight, priced, promotion, sku, tax, template

SKUS = [
    sku("a", 100, list_price_minor=133, category_ids=("tea",)),
    sku("b", 9999, category_ids=("tea", "new")),
    sku("c", 1, shop_id="8"),
    sku("d", 0, shop_id="8", category_ids=("new",)),
    sku("e", 12_345, list_price_minor=20_001),
]

EFFECTS = st.one_of(
    st.builds(lambda bp: {"kind": "percent_off", "percent_bp": bp}, st.integers(1, 10_000)),
    st.builds(
        lambda amount, per: {"kind": "amount_off", "amount_minor": amount, "per": per},
        st.integers(1, 20_000),
        st.sampled_from(["unit", "line", "order"]),
    ),
    st.builds(
        lambda first, more, amount, repeat: {
            "kind": "tiers",
            "repeat": repeat,
            "tiers": [
                {"min_amount_minor": first, "amount_off_minor": amount},
                {"min_amount_minor": first + more, "amount_off_minor": 3 * amount},
            ],
        },
        st.integers(1, 9000),
        st.integers(1, 9000),
        st.integers(1, 9000),
        st.booleans(),
    ),
    st.just({"kind": "tiers", "tiers": [{"min_quantity": 3, "percent_bp": 777}]}),
    st.builds(lambda price: {"kind": "fixed_price", "price_minor": price}, st.integers(0, 12_000)),
    st.builds(
        lambda buy, get, bp, pick, scope: {
            "kind": "buy_x_get_y",
            "buy_quantity": buy,
            "get_quantity": get,
            "get_percent_bp": bp,
            "get_pick": pick,
            "get_scope": scope,
        },
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(1, 10_000),
        st.sampled_from(["cheapest", "dearest"]),
        st.sampled_from([{}, {"sku_ids": ["a", "b"]}, {"category_ids": ["new"]}]),
    ),
    st.builds(
        lambda price, a, e: {"kind": "bundle", "price_minor": price, "sku_quantities": {"a": a, "e": e}},
        st.integers(0, 12_000),
        st.integers(1, 3),
        st.integers(1, 3),
    ),
    st.builds(
        lambda price: {"kind": "addon_price", "sku_id": "b", "price_minor": price}, st.integers(0, 9_000)
    ),
)

FIELDS = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(
            [
                {},
                {"sku_ids": ["a", "c", "e"]},
                {"category_ids": ["tea"]},
                {"shop_ids": ["8"]},
                {"item_ids": ["item-e"]},
            ]
        ),
        "condition": st.fixed_dictionaries(
            {
                "base": st.sampled_from(["list", "discounted"]),
                "min_amount_minor": st.one_of(st.none(), st.integers(1, 20_000)),
            }
        ),
        "limits": st.fixed_dictionaries(
            {
                "max_discount_minor": st.one_of(st.none(), st.integers(1, 5000)),
                "max_quantity": st.one_of(st.none(), st.integers(1, 4)),
            }
        ),
    }
)

PROMOTION_FIELDS = st.fixed_dictionaries(
    {
        "lane": st.sampled_from(["item", "shop", "platform"]),
        "priority": st.integers(0, 3),
        "exclusive": st.booleans(),
        "choice_group": st.sampled_from([None, None, "g"]),
    }
)


def _promotions(drawn: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]) -> list[Rule]:
    return [
        promotion(f"p{number}", effect, **fields, **more)
        for number, (effect, fields, more) in enumerate(drawn)
    ]


def _templates(drawn: list[tuple[dict[str, Any], dict[str, Any], str | None]]) -> list[Rule]:
    return [
        template(f"t{number}", effect, **fields, stack_category=category)
        for number, (effect, fields, category) in enumerate(drawn)
    ]


PROMOTIONS = st.lists(st.tuples(EFFECTS, FIELDS, PROMOTION_FIELDS), max_size=5).map(_promotions)
COUPONS = st.lists(st.tuples(EFFECTS, FIELDS, st.sampled_from([None, "x"])), max_size=3).map(_templates)
CARTS = st.dictionaries(st.sampled_from([each.sku_id for each in SKUS]), st.integers(1, 7), min_size=1)


# Where all cost the same, most splits end in a tie.
ALIKE = [replace(each, prices={"CNY": (1000, 1000)}) for each in SKUS]


def _priced(quantities: dict[str, int], rules: list[Rule], skus: Sequence[Sku] = SKUS) -> Priced:
    coupons = [coupon(f"c{rule.rule_id}", rule.rule_id) for rule in rules if rule.kind == "coupon"]
    return priced(book(*skus, *rules), quantities, *coupons)


@settings(max_examples=150)
@given(CARTS, PROMOTIONS, COUPONS)
def test_parts_add_up_at_every_level_and_nothing_is_below_zero(
    quantities: dict[str, int], promotions: list[Rule], coupons: list[Rule]
) -> None:
    result = _priced(quantities, promotions + coupons)
    summary = result.summary
    for line in result.lines:
        shown = line.summary
        assert shown.goods_minor == shown.unit_price_minor * shown.quantity
        assert shown.discount_minor == sum(each.amount_minor for each in shown.discounts)
        assert shown.discount_minor == line.promotion_minor + line.coupon_minor
        assert shown.payable_minor == shown.goods_minor - shown.discount_minor >= 0
        assert all(each.amount_minor > 0 for each in shown.discounts)
    for shop in summary.shops:
        for field in ("goods_minor", "discount_minor", "payable_minor"):
            assert getattr(shop, field) == sum(getattr(line, field) for line in shop.lines)
    discount_minor = summary.promotion_discount_minor + summary.coupon_discount_minor
    assert summary.payable_minor == summary.goods_minor - discount_minor
    assert summary.payable_minor == sum(shop.payable_minor for shop in summary.shops)
    assert summary.coupon_discount_minor == sum(line.coupon_minor for line in result.lines)
    assert summary.coupon_discount_minor == sum(result.coupons.values())
    assert discount_minor == sum(each.amount_minor for each in summary.applied)
    by_rule = {each.rule_id: 0 for each in summary.applied}
    for line in result.lines:
        for each in line.summary.discounts:
            by_rule[each.rule_id] += each.amount_minor
    assert by_rule == {each.rule_id: each.amount_minor for each in summary.applied}


FEES = st.fixed_dictionaries(
    {
        "basis": st.sampled_from(["weight", "quantity"]),
        "first": st.fixed_dictionaries({"upto": st.integers(1, 900), "fee_minor": st.integers(0, 2_000)}),
        "then": st.one_of(
            st.none(),
            st.fixed_dictionaries({"step": st.integers(1, 300), "fee_minor": st.integers(0, 500)}),
        ),
        "free_above_minor": st.one_of(st.none(), st.integers(1, 60_000)),
    }
)
TAX_FIELDS = st.fixed_dictionaries(
    {
        "rate_bp": st.integers(0, 3_000),
        "included": st.booleans(),
        "applies_to_freight": st.booleans(),
        "category_ids": st.sampled_from([[], ["tea"]]),
        "regions": st.sampled_from([[], ["CN"]]),
    }
)
SENT = [
    replace(each, freight_template_id=f"t{each.shop_id}", weight_grams=weight)
    for each, weight in zip(SKUS, (250, 0, 30, 1, 999), strict=True)
]


@settings(max_examples=150)
@given(CARTS, PROMOTIONS, COUPONS, st.tuples(FEES, FEES), st.lists(TAX_FIELDS, max_size=3))
def test_freight_and_tax_add_up_at_every_level_and_change_no_discount(
    quantities: dict[str, int],
    promotions: list[Rule],
    coupons: list[Rule],
    fees: tuple[dict[str, Any], dict[str, Any]],
    rules: list[dict[str, Any]],
) -> None:
    charged = [freight(f"t{shop_id}", fee, shop_id=shop_id) for shop_id, fee in zip("78", fees, strict=True)]
    taxes = [tax(f"tax-{number}", **fields) for number, fields in enumerate(rules)]
    held = [coupon(f"c{rule.rule_id}", rule.rule_id) for rule in coupons]
    shop = book(*SENT, *promotions, *coupons, *charged, *taxes)
    summary = priced(shop, quantities, *held, region="CN-SH").summary
    plain = _priced(quantities, promotions + coupons).summary
    assert summary.applied == plain.applied
    levels = [summary, *summary.shops, *(line for each in summary.shops for line in each.lines)]
    plain_levels = [plain, *plain.shops, *(line for each in plain.shops for line in each.lines)]
    for level, before in zip(levels, plain_levels, strict=True):
        assert min(level.freight_minor, level.tax_minor) >= 0
        assert level.goods_minor == before.goods_minor
        assert level.payable_minor == before.payable_minor + level.freight_minor + level.tax_minor
    for whole, parts in ((summary, summary.shops), *((each, each.lines) for each in summary.shops)):
        for field in ("freight_minor", "tax_minor", "payable_minor"):
            assert getattr(whole, field) == sum(getattr(part, field) for part in parts)


@settings(max_examples=150)
@given(st.permutations(SKUS), st.integers(2, 5), PROMOTIONS, COUPONS, st.sampled_from([SKUS, ALIKE]))
def test_the_order_of_the_lines_changes_nothing(
    order: list[Sku], size: int, promotions: list[Rule], coupons: list[Rule], skus: list[Sku]
) -> None:
    sku_ids = [each.sku_id for each in order[:size]]
    one = _priced(dict.fromkeys(sorted(sku_ids), 1), promotions + coupons, skus)
    other = _priced(dict.fromkeys(sku_ids, 1), promotions + coupons, skus)
    assert {line.sku.sku_id: line for line in one.lines} == {line.sku.sku_id: line for line in other.lines}
    assert one.summary.applied == other.summary.applied
    assert one.summary.rejected == other.summary.rejected


@settings(max_examples=100)
@given(CARTS, PROMOTIONS, COUPONS, EFFECTS, st.integers(0, 3))
def test_a_rule_that_cannot_apply_changes_nothing(
    quantities: dict[str, int],
    promotions: list[Rule],
    coupons: list[Rule],
    effect: dict[str, Any],
    why: int,
) -> None:
    reasons: list[dict[str, Any]] = [
        {"scope": {"category_ids": ["not-in-the-cart"]}},
        {"shop_id": "9"},
        {"ends_at": "2020-01-01T00:00:00Z"},
        {"condition": {"currencies": ["USD"]}},
    ]
    idle = promotion("idle", effect, exclusive=True, choice_group="g", priority=99, **reasons[why])
    before = _priced(quantities, promotions + coupons)
    assert _priced(quantities, [*promotions, *coupons, idle]) == before
