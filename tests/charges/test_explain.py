"""Freight, tax, points, cards and a seller's change are computed again, with what was in force."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.balances.calls import Operator
from tests.charges.conftest import FREIGHT, Buyer, Put
from tests.conftest import Login

VAT = {"name": "VAT", "rate_bp": 1000, "applies_to_freight": True}
CART = {"1001": 3, "1002": 3}  # 150.00; 1,650 grams: freight 14.00; tax 16.40
pytestmark = pytest.mark.usefixtures("shop")


@pytest.fixture
def op(client: httpx.AsyncClient, login: Login) -> Operator:
    return Operator(client, login("ann", "op"))


@pytest.fixture
async def asked(put: Put, op: Operator, buyer: Buyer) -> dict[str, Any]:
    """Points for 10.00, a packet of 20.00, two cards of 120.00 and 6.00: 24.40 stay to be paid."""
    await put("tax_rules/vat", VAT)
    await op.points_rules(cap_bp=1_000)
    await op.grant(1_000)
    await op.pool(funds_minor=10_000)
    first, second = await op.cards(12_000) + await op.cards(600)
    return {
        "points": 1_000,
        "red_packet_id": await op.packet(2_000),
        "gift_card_codes": [first["code"], second["code"]],
        "address_id": await buyer.address(),
    }


async def pricing(op: Operator, order_id: str) -> dict[str, Any]:
    answer = await op.client.get(f"/admin/orders/{order_id}/pricing", headers=op.headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def change_everything(put: Put, op: Operator) -> None:
    """Rates, fees, weights, whose template it is, and what points are worth."""
    await put("tax_rules/vat", VAT | {"rate_bp": 2_000})
    await put("tax_rules/more", VAT | {"rate_bp": 9_000})
    await put("freight_templates/t", FREIGHT | {"rules": FREIGHT["rules"][1:]})
    await put("freight_templates/u", FREIGHT | {"name": "Another"})
    skus = [
        {"sku_id": sku_id, "weight_grams": 9_000, "prices": {"CNY": {"price_minor": 1}}}
        for sku_id in ("1001", "1002")
    ]
    await put("items/tea", {"shop_id": "7", "title": "Tea", "freight_template_id": "u", "skus": skus})
    await put("shops/7", {"name": "Lan's Tea", "currency": "CNY"})
    await op.points_rules(currencies={}, cap_bp=1)


async def test_every_step_is_told_and_a_replay_agrees_when_all_has_changed_since(
    put: Put, op: Operator, buyer: Buyer, asked: dict[str, Any]
) -> None:
    placed = await buyer.place(CART, 2_440, **asked)
    assert placed.status_code == 201, placed.text
    before = await pricing(op, placed.json()["order_id"])
    freight, tax = before["charges"]
    assert {name: freight[name] for name in ("kind", "rule_id", "region", "basis", "looked_at")} == {
        "kind": "freight",
        "rule_id": "t",
        "region": "CN-SH",
        "basis": "weight",
        "looked_at": 1_650,
    }
    assert [(line["looked_at"], line["amount_minor"]) for line in freight["lines"]] == [
        (750, 636),
        (900, 764),
    ]
    assert (tax["rate_bp"], tax["looked_at"], tax["amount_minor"]) == (1_000, 16_400, 1_640)
    assert (freight["version"], tax["version"]) == (1, 2)
    steps = [
        (step["kind"], step["effect"], step["looked_at_minor"], step["gave_minor"])
        for step in before["steps"]
    ]
    assert steps == [
        ("points", "points", 15_000, 1_000),
        ("red_packet", "amount_off", 14_000, 2_000),
        ("gift_card", "amount_off", 12_000, 12_000),
        ("gift_card", "amount_off", 3_040, 600),  # the second card, of freight and tax
    ]
    assert before["replayed"] == [
        *("promotion", "coupon", "points", "red_packet", "gift_card"),
        *("freight", "tax", "tax_included"),
    ]
    assert (before["adds_up"], before["matches"], before["differences"]) == (True, True, [])
    await change_everything(put, op)
    assert await pricing(op, placed.json()["order_id"]) == before


async def test_what_the_replay_does_not_give_again_is_named(
    put: Put, op: Operator, buyer: Buyer, asked: dict[str, Any], services: Services
) -> None:
    order_id = (await buyer.place(CART, 2_440, **asked)).json()["order_id"]
    # as if freight had been charged by other weights, and no template had been kept
    await services.pool.execute("UPDATE sku SET weight_grams = 9000, version = 0 WHERE sku_id = '1001'")
    await services.pool.execute("DELETE FROM sku_history")
    told = await pricing(op, order_id)
    named = {(each["sku_id"], each["kind"]) for each in told["differences"]}
    assert told["matches"] is False
    assert {("1001", "freight"), ("1002", "freight"), ("1001", "tax"), ("1002", "tax")} <= named
    assert {each["recorded_minor"] for each in told["differences"] if each["kind"] == "freight"} == {636, 764}


async def test_freed_freight_is_told_beside_what_it_would_have_cost(
    put: Put, op: Operator, buyer: Buyer
) -> None:
    await put(
        "promotions/free",
        {
            "name": "5 off freight",
            "lane": "shop",
            "effect": {"kind": "free_freight"},
            "limits": {"max_discount_minor": 500},
        },
    )
    placed = await buyer.place(CART, 15_900, address_id=await buyer.address())
    told = await pricing(op, placed.json()["order_id"])
    (freight,) = told["charges"]
    assert (freight["amount_minor"], sum(line["freed_minor"] for line in freight["lines"])) == (1_400, 500)
    assert (told["matches"], told["adds_up"]) == (True, True)


async def test_a_sellers_change_is_told_and_compared(op: Operator, buyer: Buyer, services: Services) -> None:
    order_id = (await buyer.place(CART, 16_400, address_id=await buyer.address())).json()["order_id"]
    path = f"/admin/orders/{order_id}/price_change"
    for amount_minor in (1_000, 3_000):
        answer = await op.post(path, amount_minor=amount_minor, reason="a regular")
        assert answer.status_code == 200, answer.text
    told = await pricing(op, order_id)
    first, second = told["price_changes"]
    assert (first["before_minor"], first["after_minor"], first["payable_before_minor"]) == (0, 1_000, 16_400)
    assert (second["before_minor"], second["after_minor"], sum(second["lines"].values())) == (
        1_000,
        3_000,
        3_000,
    )
    assert (told["matches"], told["replayed"][-1]) == (True, "price_change")
    await services.pool.execute(
        "UPDATE order_line SET price_change_minor = 0, payable_minor = payable_minor + price_change_minor"
        " WHERE sku_id = '1001'"
    )
    told = await pricing(op, order_id)
    (difference,) = told["differences"]
    assert (difference["kind"], difference["rule_id"], difference["recorded_minor"]) == (
        "price_change",
        second["change_id"],
        0,
    )
    assert told["adds_up"] is False


async def test_freight_in_another_currency_is_replayed_with_the_orders_own_rate(
    put: Put, op: Operator, buyer: Buyer
) -> None:
    rates = [{"currency": "CNY", "rate": "7.1", "valid_from": "2020-01-01T00:00:00Z"}]
    await put("fx_rates", {"base": "USD", "rates": rates})
    fees = {"basis": "quantity", "first": {"upto": 9, "fee_minor": 100}}
    await put("freight_templates/v", {"shop_id": "7", "currency": "USD", "name": "v", "default": fees})
    await put("shops/7", {"name": "Lan's Tea", "currency": "CNY", "freight_template_id": "v"})
    placed = await buyer.place(CART, 15_710, address_id=await buyer.address())
    assert placed.status_code == 201, placed.text
    await put("fx_rates", {"base": "USD", "rates": [rates[0] | {"rate": "9"}]})
    told = await pricing(op, placed.json()["order_id"])
    assert (told["charges"][0]["amount_minor"], told["matches"]) == (710, True)


async def test_the_points_of_a_buyer_whose_id_is_no_number_are_replayed(
    op: Operator, client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    buyer = Buyer(client, services, login("lin:7 a"))
    await op.points_rules(cap_bp=1_000)
    await op.grant(500, "lin:7 a")
    placed = await buyer.place(CART, 15_900, points=500, address_id=await buyer.address())
    told = await pricing(op, placed.json()["order_id"])
    (step,) = told["steps"]
    assert (step["kind"], step["gave_minor"], told["matches"]) == ("points", 500, True)


async def test_an_order_from_before_charges_were_kept_replays_its_rules_alone(
    op: Operator, buyer: Buyer, services: Services
) -> None:
    order_id = (await buyer.place(CART, 16_400, address_id=await buyer.address())).json()["order_id"]
    await services.pool.execute("UPDATE orders SET priced_with = priced_with - 10 - 10 - 10")
    told = await pricing(op, order_id)
    assert (told["replayed"], told["charges"], told["matches"]) == (["promotion", "coupon"], [], True)
