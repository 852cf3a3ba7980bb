"""The worked examples of docs/pricing.md: carts, rules and what each line then pays.

The test prices each one, and compares the table in the document with the one made here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from app.lib.money import decimals_of

Document = dict[str, Any]


class Example(NamedTuple):
    """`cart`: SKU → (quantity, unit price, list price) in minor units; `pays`: SKU → payable of its line."""

    name: str
    cart: Mapping[str, tuple[int, int, int]]
    rules: list[Document]
    pays: Mapping[str, int]
    currency: str = "CNY"
    # in the order of the cart's `coupon_ids`; documents of templates
    coupons: Sequence[Document] = ()
    # codes of what was asked for, or nearly applied, and did not
    rejected: Sequence[str] = ()
    # what one parcel of all lines costs; rates of tax
    fee: Document | None = None
    taxes: Sequence[Document] = ()
    # the currency that the shop sells in, and what one of it is in that of the cart
    home: tuple[str, str] | None = None
    # what the cart's gift cards hold
    cards: Sequence[int] = ()
    # (choice group, place of its promotion among `rules`, SKU)
    choices: Sequence[tuple[str, int | None, str | None]] = ()
    # the best coupons are chosen, instead of all being asked for
    auto: bool = False
    # afterwards, one after the other: so many units of a SKU go back, for so much
    refunds: Sequence[tuple[str, int, int]] = ()


def one(price_minor: int, quantity: int = 1, list_price_minor: int | None = None) -> tuple[int, int, int]:
    return quantity, price_minor, list_price_minor or price_minor


def percent(bp: int) -> Document:
    return {"kind": "percent_off", "percent_bp": bp}


def off(amount_minor: int, per: str = "order") -> Document:
    return {"kind": "amount_off", "amount_minor": amount_minor, "per": per}


def rule(effect: Document, lane: str = "shop", **fields: Any) -> Document:
    return {"lane": lane, "effect": effect, **fields}


def coupon(effect: Document, **fields: Any) -> Document:
    return {"effect": effect, **fields}


def flat(fee_minor: int, **fields: Any) -> Document:
    """One fee for a parcel, whatever is in it."""
    return {"basis": "quantity", "first": {"upto": 99, "fee_minor": fee_minor}, **fields}


def steps(*tiers: tuple[int, int], repeat: bool = False) -> Document:
    """(from amount, amount off) each."""
    return {"kind": "tiers", "repeat": repeat,
            "tiers": [{"min_amount_minor": at, "amount_off_minor": less} for at, less in tiers]}  # fmt: skip


def set_of(buy: int, get: int, percent_bp: int = 10_000) -> Document:
    return {"kind": "buy_x_get_y", "buy_quantity": buy, "get_quantity": get, "get_percent_bp": percent_bp}


FROM_200 = {"condition": {"min_amount_minor": 20_000}}

EXAMPLES = [
    Example("15 % off one line", {"a": one(9_999)}, [rule(percent(1_500))], {"a": 8_499}),
    Example("Spend 200 save 30 (满减), split by what each line costs", {"a": one(15_000), "b": one(5_000)},
            [rule(off(3_000), **FROM_200)], {"a": 12_750, "b": 4_250}),
    Example("One cent below the threshold", {"a": one(19_999)}, [rule(off(3_000), **FROM_200)],
            {"a": 19_999}, rejected=["minimum_not_met"]),
    Example("Every full 100 saves 10 (每满减)", {"a": one(35_000)},
            [rule(steps((10_000, 1_000), repeat=True))], {"a": 32_000}),
    Example("100 saves 10, 300 saves 50 (阶梯满减): the highest step reached", {"a": one(35_000)},
            [rule(steps((10_000, 1_000), (30_000, 5_000)))], {"a": 30_000}),
    Example("5 off each unit, of three units at most", {"a": one(2_000, 5)},
            [rule(off(500, "unit"), limits={"max_quantity": 3})], {"a": 8_500}),
    Example("20 % off, but no more than 15", {"a": one(10_000)},
            [rule(percent(2_000), limits={"max_discount_minor": 1_500})], {"a": 8_500}),
    Example("A fixed price (一口价), and never a higher one", {"a": one(10_000), "b": one(4_000)},
            [rule({"kind": "fixed_price", "price_minor": 5_000})], {"a": 5_000, "b": 4_000}),
    Example("Buy two, the third is free (买二送一), the cheapest first",
            {"a": one(3_000, 2), "b": one(2_000)}, [rule(set_of(2, 1))], {"a": 6_000, "b": 0}),
    Example("An incomplete set gives nothing", {"a": one(3_000, 2)}, [rule(set_of(2, 1))], {"a": 6_000},
            rejected=["minimum_not_met"]),
    Example("The second at half the price (第二件半价)", {"a": one(3_000, 3)}, [rule(set_of(1, 1, 5_000))],
            {"a": 7_500}),
    Example("A bundle (套餐): both for 100, split by what each costs", {"a": one(9_000), "b": one(3_000)},
            [rule({"kind": "bundle", "sku_quantities": {"a": 1, "b": 1}, "price_minor": 10_000})],
            {"a": 7_500, "b": 2_500}),
    Example("An add-on (加价购): beside 100 of goods the mug costs 9.90",
            {"a": one(10_000), "mug": one(4_000)},
            [rule({"kind": "addon_price", "sku_id": "mug", "price_minor": 990},
                  condition={"min_amount_minor": 10_000})], {"a": 10_000, "mug": 990}),
    # rounding
    Example("Ten off three equal lines: 3.34 + 3.33 + 3.33",
            {"a": one(1_000), "b": one(1_000), "c": one(1_000)}, [rule(off(1_000))],
            {"a": 666, "b": 667, "c": 667}),
    Example("Ten off unequal lines: the odd cent goes to the largest remainder",
            {"a": one(1_010), "b": one(1_020), "c": one(1_070)}, [rule(off(1_000))],
            {"a": 684, "b": 691, "c": 725}),
    Example("Ten off beside lines of cents", {"a": one(1), "b": one(2), "c": one(9_997)},
            [rule(off(1_000))], {"a": 1, "b": 2, "c": 8_997}),
    Example("A currency without decimals: ten yen off three lines", currency="JPY",
            cart={"a": one(100), "b": one(100), "c": one(100)}, rules=[rule(off(10))],
            pays={"a": 96, "b": 97, "c": 97}),
    Example("A currency with three decimals: a third off, rounded half up once", currency="KWD",
            cart={"a": one(1_000), "b": one(500)}, rules=[rule(percent(3_333))], pays={"a": 667, "b": 333}),
    Example("Half a cent rounds up, once, of the whole line and not of each unit", {"a": one(333, 3)},
            [rule(percent(5_000))], {"a": 499}),
    # the order of stacking
    Example("Percent first, then the amount", {"a": one(10_000)},
            [rule(percent(1_000), priority=2), rule(off(2_000), priority=1)], {"a": 7_000}),
    Example("The amount first, then percent of what is left", {"a": one(10_000)},
            [rule(percent(1_000), priority=1), rule(off(2_000), priority=2)], {"a": 7_200}),
    Example("Item promotions before shop promotions, whatever their priority", {"a": one(10_000)},
            [rule(off(2_000), "shop", priority=99), rule(percent(1_000), "item")], {"a": 7_000}),
    Example("A threshold looks at what earlier rules have left", {"a": one(20_000)},
            [rule(percent(1_000), "item"), rule(off(3_000), **FROM_200)], {"a": 18_000},
            rejected=["minimum_not_met"]),
    Example("… or at the list price, where the rule says so", {"a": one(20_000)},
            [rule(percent(1_000), "item"),
             rule(off(3_000), condition={"min_amount_minor": 20_000, "base": "list"})], {"a": 15_000}),
    Example("Two 10 % after another are 19 %, not 20 %", {"a": one(10_000)},
            [rule(percent(1_000), "item"), rule(percent(1_000), "shop")], {"a": 8_100}),
    Example("An exclusive rule keeps the rest of its lane off its line", {"a": one(10_000), "b": one(10_000)},
            [rule(percent(3_000), priority=9, exclusive=True, scope={"sku_ids": ["a"]}), rule(off(2_000))],
            {"a": 7_000, "b": 8_000}),
    Example("Of one choice group the best for the buyer", {"a": one(10_000)},
            [rule(percent(1_000), choice_group="g"), rule(off(1_500), choice_group="g")], {"a": 8_500}),
    Example("Promotions first, then coupons", {"a": one(10_000)}, [rule(off(2_000))], {"a": 7_200},
            coupons=[coupon(percent(1_000))]),
    Example("Two coupons of one category: the second is not spent", {"a": one(10_000)}, [], {"a": 9_000},
            coupons=[coupon(off(1_000), stack_category="x"), coupon(off(1_000), stack_category="x")],
            rejected=["stack_conflict"]),
    # what others get wrong
    Example("A percentage of the list price, though the price is reduced", {"a": one(8_000, 1, 10_000)},
            [rule(percent(1_000), condition={"base": "list"})], {"a": 7_000}),
    Example("The same percentage of the reduced price", {"a": one(8_000, 1, 10_000)}, [rule(percent(1_000))],
            {"a": 7_200}),
    Example("A coupon that finds nothing left is not spent", {"a": one(1_000)}, [rule(percent(10_000))],
            {"a": 0}, coupons=[coupon(off(500))], rejected=["gave_nothing"]),
    Example("100 % off", {"a": one(999), "b": one(1)}, [rule(percent(10_000))], {"a": 0, "b": 0}),
    Example("A discount larger than its line takes the line, no more", {"a": one(300), "b": one(5_000)},
            [rule(off(1_000), scope={"sku_ids": ["a"]})], {"a": 0, "b": 5_000}),
    # freight and tax
    Example("Freight of one parcel, split by units", {"a": one(2_000, 2), "b": one(5_000)}, [],
            {"a": 4_667, "b": 5_333}, fee=flat(1_000)),
    Example("By weight: 10 for the first kilogram, 2 for each further half that has begun",
            {"a": one(2_000, 5)}, [], {"a": 11_200},
            fee={"basis": "weight", "first": {"upto": 1_000, "fee_minor": 1_000},
                 "then": {"step": 500, "fee_minor": 200}}),
    Example("Free from 100, of what the goods cost after discounts", {"a": one(10_500)}, [rule(off(1_000))],
            {"a": 10_700}, fee=flat(1_200, free_above_minor=10_000)),
    Example("A rule that frees freight, up to 8", {"a": one(5_000)},
            [rule({"kind": "free_freight"}, limits={"max_discount_minor": 800})], {"a": 5_400},
            fee=flat(1_200)),
    Example("Tax on top, of goods and freight, rounded once", {"a": one(333), "b": one(333)}, [],
            {"a": 422, "b": 421}, fee=flat(100), taxes=[{"rate_bp": 1_000, "applies_to_freight": True}]),
    Example("Tax within the price costs nothing more", {"a": one(11_900)}, [], {"a": 11_900},
            taxes=[{"rate_bp": 1_900, "included": True}]),
    Example("A gift card pays goods, then freight and tax; the tax stays the same", {"a": one(1_000)}, [],
            {"a": 100}, fee=flat(300), taxes=[{"rate_bp": 1_000}], cards=[1_300]),
    Example("A coupon that costs the free freight is left out", {"a": one(10_500)}, [], {"a": 10_500},
            coupons=[coupon(off(1_000))], rejected=["better_without"], auto=True,
            fee=flat(1_200, free_above_minor=10_000)),
    Example("One that saves more than the freight is taken", {"a": one(10_500)}, [], {"a": 10_200},
            coupons=[coupon(off(1_500))], auto=True, fee=flat(1_200, free_above_minor=10_000)),
    # other currencies
    Example("A price converted with the rate of the day, half a cent up", {"a": one(999)}, [], {"a": 7_093},
            home=("USD", "7.1")),
    Example("Into a currency without decimals; what costs anything costs at least 1",
            {"a": one(1_000), "b": one(1)}, [], {"a": 213, "b": 1}, currency="JPY", home=("CNY", "21.3")),
    Example("An amount of a rule is in its shop's currency: it keeps off, a percentage does not",
            {"a": one(1_000)}, [rule(off(500)), rule(percent(1_000))], {"a": 6_390}, home=("USD", "7.1")),
    # gifts
    Example("A gift is a line that costs nothing", {"a": one(10_000)},
            [rule({"kind": "gift", "sku_id": "cup", "quantity": 1}, condition={"min_amount_minor": 9_000})],
            {"a": 10_000, "cup": 0}),
    Example("A coupon for a gift comes on top of the cheapest set", {"a": one(10_000)}, [],
            {"a": 9_000, "cup": 0}, auto=True,
            coupons=[coupon({"kind": "gift", "sku_id": "cup", "quantity": 1}), coupon(off(1_000))]),
    # what the buyer chooses
    Example("The buyer may choose the other of a choice group", {"a": one(10_000)},
            [rule(percent(1_000), choice_group="g"), rule(off(1_500), choice_group="g")], {"a": 9_000},
            choices=[("g", 0, None)]),
    Example("… or one for a line, and for the other lines the best applies",
            {"a": one(10_000), "b": one(9_000)},
            [rule(percent(1_000), choice_group="g"), rule(off(1_500), choice_group="g")],
            {"a": 9_000, "b": 7_500}, choices=[("g", 0, "a")]),
    Example("… or none", {"a": one(10_000)}, [rule(percent(1_000), choice_group="g")], {"a": 10_000},
            choices=[("g", None, None)]),
    Example("… but nothing that the SKU is not in", {"a": one(10_000), "b": one(1_000)},
            [rule(percent(1_000), choice_group="g"),
             rule(percent(9_000), choice_group="g", scope={"sku_ids": ["b"]})], {"a": 9_000, "b": 900},
            choices=[("g", 1, "a")], rejected=["not_in_scope"]),
    # what goes back
    Example("An order discount after a partial refund: what stays keeps its part, though below the threshold",
            {"a": one(15_000), "b": one(5_000)}, [rule(off(3_000), **FROM_200)], {"a": 12_750, "b": 4_250},
            refunds=[("b", 1, 4_250), ("a", 1, 12_750)]),
    Example("Units that go back one by one come to what their line has cost",
            {"a": one(333, 3), "b": one(1_000)}, [rule(off(100))], {"a": 949, "b": 950},
            refunds=[("a", 1, 316), ("a", 1, 316), ("b", 1, 950), ("a", 1, 317)]),
    Example("Freight and tax go back with the units", {"a": one(1_000, 3)}, [], {"a": 3_630}, fee=flat(300),
            taxes=[{"rate_bp": 1_000, "applies_to_freight": True}],
            refunds=[("a", 1, 1_210), ("a", 2, 2_420)]),
    Example("Half of a currency without decimals", {"a": one(101, 2)}, [rule(percent(5_000))], {"a": 101},
            currency="JPY", refunds=[("a", 1, 50), ("a", 1, 51)]),
]  # fmt: skip


Money = Callable[[int], str]


def table() -> str:
    """The examples as docs/pricing.md shows them; coupons stand behind the promotions."""
    rows = ["| example | cart | rules | each line pays | total |", "| --- | --- | --- | --- | --- |"]
    for each in EXAMPLES:
        money = partial(_money, each.currency)
        priced_in = partial(_money, each.currency if each.home is None else each.home[0])
        cart = ", ".join(f"{sku} {_line(line, priced_in)}" for sku, line in each.cart.items())
        rules = [_words(document, priced_in) for document in each.rules]
        rules += [f"coupon: {_words(document, money)}" for document in each.coupons]
        rules += _beside(each, money)
        pays = ", ".join(f"{sku} {money(amount_minor)}" for sku, amount_minor in each.pays.items())
        back = ", ".join(f"{units} {sku} {money(amount_minor)}" for sku, units, amount_minor in each.refunds)
        pays += f"; back: {back}" if back else ""
        total = f"{money(sum(each.pays.values()))} {each.currency}"
        rows.append(f"| {each.name} | {cart} | {'; '.join(rules)} | {pays} | {total} |")
    return "\n".join(rows)


def _money(currency: str, amount_minor: int) -> str:
    decimals = decimals_of(currency)
    whole, rest = divmod(amount_minor, 10**decimals)
    return f"{whole}.{rest:0{decimals}}" if decimals else str(whole)


def _line(line: tuple[int, int, int], money: Money) -> str:
    quantity, price_minor, list_price_minor = line
    listed = f" (list {money(list_price_minor)})" if list_price_minor != price_minor else ""
    return f"{quantity} × {money(price_minor)}{listed}"


def _beside(example: Example, money: Money) -> list[str]:
    """What there is beside promotions and coupons."""
    words = [] if example.fee is None else [_fee(example.fee, money)]
    for tax in example.taxes:
        where = "within" if tax.get("included") else "on top"
        words.append(f"tax: {_percent(tax['rate_bp'])} {where}")
    if example.home is not None:
        base, rate = example.home
        words.append(f"prices in {base}, of which 1 is {rate} {example.currency}")
    words += [f"gift card: {money(balance_minor)}" for balance_minor in example.cards]
    for group, place, sku_id in example.choices:
        chosen = "none" if place is None else f"rule {place + 1}"
        words.append(f"chosen of {group}" + (f" for {sku_id}" if sku_id else "") + f": {chosen}")
    return words + (["the best coupons"] if example.auto else [])


def _fee(fee: Document, money: Money) -> str:
    first, then = fee["first"], fee.get("then")
    words = f"freight: {money(first['fee_minor'])}"
    if then is not None:
        words += f" up to {first['upto']} g, {money(then['fee_minor'])} for each {then['step']} g more"
    free_above_minor = fee.get("free_above_minor")
    return words if free_above_minor is None else f"{words}, free from {money(free_above_minor)}"


def _words(document: Document, money: Money) -> str:
    """A rule in a few words: its lane, effect and conditions."""
    words = [f"{document['lane']}:"] if "lane" in document else []
    words.append(WORDS[document["effect"]["kind"]](document["effect"], money))
    if sku_ids := document.get("scope", {}).get("sku_ids"):
        words.append("on " + ", ".join(sku_ids))
    condition = document.get("condition", {})
    if minimum := condition.get("min_amount_minor"):
        words.append(f"from {money(minimum)}")
    if minimum := condition.get("min_quantity"):
        words.append(f"from {minimum} units")
    if condition.get("base") == "list":
        words.append("of the list price")
    limits = document.get("limits", {})
    if units := limits.get("max_quantity"):
        words.append(f"for {units} units at most")
    if ceiling := limits.get("max_discount_minor"):
        words.append(f"at most {money(ceiling)}")
    words += [f"{name} {document[name]}" for name in ("priority", "stack_category", "choice_group")
              if name in document]  # fmt: skip
    words += ["exclusive"] if document.get("exclusive") else []
    return " ".join(words)


def _percent(bp: int) -> str:
    return f"{bp // 100}.{bp % 100:02} %".replace(".00 %", " %")


def _tiers(effect: Document, money: Money) -> str:
    each = "every" if effect["repeat"] else "from"
    return ", ".join(f"{each} {money(t['min_amount_minor'])} {money(t['amount_off_minor'])} off"
                     for t in effect["tiers"])  # fmt: skip


WORDS: dict[str, Callable[[Document, Money], str]] = {
    "percent_off": lambda effect, _: f"{_percent(effect['percent_bp'])} off",
    "amount_off": lambda effect, money: (
        f"{money(effect['amount_minor'])} off"
        + ("" if effect["per"] == "order" else f" each {effect['per']}")
    ),
    "tiers": _tiers,
    "fixed_price": lambda effect, money: f"{money(effect['price_minor'])} each",
    "buy_x_get_y": lambda effect, _: (
        f"buy {effect['buy_quantity']}, {effect['get_quantity']} more at "
        f"{_percent(effect['get_percent_bp'])} off"
    ),
    "bundle": lambda effect, money: (
        " + ".join(f"{n} {sku}" for sku, n in effect["sku_quantities"].items())
        + f" for {money(effect['price_minor'])}"
    ),
    "gift": lambda effect, _: f"{effect['quantity']} {effect['sku_id']} as a gift",
    "free_freight": lambda _effect, _: "freight free",
    "addon_price": lambda effect, money: f"{effect['sku_id']} for {money(effect['price_minor'])}",
}
