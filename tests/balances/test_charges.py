"""A gift card that pays tax beside the goods: recorded line by line, and given back exactly."""

from __future__ import annotations

from typing import Any

import pytest

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.balances.calls import Operator
from tests.balances.conftest import Holds
from tests.balances.shop import Shop
from tests.balances.test_refunds import line_ids, refunded


@pytest.fixture(autouse=True)
async def taxed(op: Operator, shop: Shop) -> None:
    """10 % on top of everything."""
    answer = await op.put("/admin/tax_rules/vat", name="VAT", rate_bp=1_000)
    assert answer.status_code == 200, answer.text


async def test_an_order_that_a_card_pays_whole_is_paid_at_once(
    op: Operator, shop: Shop, services: Services
) -> None:
    (card,) = await op.cards(2_000)
    placed = await shop.place(("a", 1), ("b", 1), gift_card_codes=[card["code"]])
    assert (placed["payable_minor"], placed["status"]) == (0, "PENDING_SHIPMENT")
    assert await shop.card(card["code"]) == 2_000 - 1_650
    await refunded(shop, placed)
    assert await shop.card(card["code"]) == 2_000
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_a_card_for_goods_alone_leaves_the_tax(op: Operator, shop: Shop) -> None:
    (card,) = await op.cards(2_000, pays_charges=False)
    shown = (await shop.client.get(f"/gift_cards/{card['code']}", headers=shop.headers)).json()
    assert shown["pays_charges"] is False
    summary = await shop.price(("a", 1), ("b", 1), gift_card_codes=[card["code"]])
    assert summary["payable_minor"] == 150


async def test_a_pool_may_be_told_that_its_packets_pay_charges(op: Operator, shop: Shop) -> None:
    await op.pool(funds_minor=5_000)
    packet_id = await op.packet(2_000)
    assert (await shop.price(("a", 1), red_packet_id=packet_id))["payable_minor"] == 100
    await op.pool(pays_charges=True)
    assert (await shop.price(("a", 1), red_packet_id=packet_id))["payable_minor"] == 100  # sent before
    later_id = await op.packet(2_000)
    assert (await shop.price(("a", 1), red_packet_id=later_id))["payable_minor"] == 0


@pytest.mark.parametrize(
    "sequence",
    [
        [None],
        [{"a": 1}, {"a": 1}, {"a": 1}, {"b": 1}],
        [{"b": 1}, {"a": 2}, None],
        [{"amount_minor": 7}, {"a": 1}, {"amount_minor": 100}, None],
        [{"amount_minor": 249}, None],
    ],
)
async def test_whatever_the_sequence_of_refunds_exactly_what_was_paid_comes_back(
    op: Operator, shop: Shop, services: Services, holds: Holds, sequence: list[dict[str, int] | None]
) -> None:
    """3 a and 1 b with tax, 38.50: 36.00 of the card, 1.00 of it for tax, and 2.50 in money."""
    (card,) = await op.cards(3_600)
    placed = await shop.place(("a", 3), ("b", 1), gift_card_codes=[card["code"]])
    assert placed["payable_minor"] == 250
    await shop.pay(placed)
    assert await holds("spent:gift_card") == 3_600
    lines = await line_ids(shop, placed)
    money_minor = 0
    for step in sequence:
        body: dict[str, Any] = {}
        if step is not None:
            named = [{"line_id": lines[name], "quantity": step[name]} for name in step if name in lines]
            body = {"lines": named} if named else step
        money_minor += (await refunded(shop, placed, **body))["amount_minor"]
        await assert_audit_clean(services, except_for={"waiting_outbox"})
    assert (money_minor, await shop.card(card["code"])) == (250, 3_600)
    assert await holds("spent:gift_card") == 0
