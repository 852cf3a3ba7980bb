"""The audit names each rule about seats that is broken."""

from __future__ import annotations

from app.audit.rules import RULES, SEATS
from app.groups.settle import settle_due
from tests.auditing import named_after
from tests.groups.conftest import Shop
from tests.seats.conftest import full_group, open_show, put_item, put_seats

FREE = "order_id = NULL, line_id = NULL"
# The rule, how it is broken, and the ids that must be named.
BREAKS = [
    ("seats_given", "UPDATE seat SET order_id = 1, line_id = 1 WHERE number = '4'", {"1001 A 4"}),
    ("seats_given", "UPDATE orders SET status = 'CLOSED' WHERE order_id = {0}", {"1001 A 1"}),
    (
        "seats_given",
        "UPDATE seat_map SET session = (SELECT session FROM seat_map WHERE sku_id = '1001')",
        {"1001 A 1", "1002 A 1"},
    ),
    ("seats_of_members", f"UPDATE seat SET {FREE} WHERE number = '2'", {"{1}"}),
    (
        "seats_of_members",
        "UPDATE seat SET order_id = {0}, line_id = (SELECT line_id FROM order_line WHERE order_id = {0}) "
        "WHERE number = '4'",
        {"{0}"},
    ),
    ("seats_suffice", "DELETE FROM seat WHERE number = '4'", {"1001"}),
]


async def test_each_rule_names_what_breaks_it(shop: Shop) -> None:
    await put_item(shop, "1001", "1002")
    await put_seats(shop, ".", sku_id="1002", session="another")
    await open_show(shop, "....")
    orders = await full_group(shop, "a", 1, 1, 1)
    await settle_due(shop.services, shop.clock.now(), 10)
    await shop.audit()
    assert {rule for rule, _, _ in BREAKS} == set(RULES[SEATS])
    for rule, statement, expected in BREAKS:
        named = await named_after(shop.services, rule, statement.format(*orders), shop.clock.now())
        assert named == {each.format(*orders) for each in expected}, (rule, statement)
