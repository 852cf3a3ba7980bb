"""Freight and tax from the operator's document to the order and back to the buyer."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from tests.auditing import assert_audit_clean
from tests.charges.conftest import FREIGHT, Buyer, Put
from tests.conftest import Login
from tests.placed import pay

VAT = {"name": "VAT", "rate_bp": 1000, "applies_to_freight": True}
FREE = {"name": "Free freight", "lane": "shop", "effect": {"kind": "free_freight"}}
pytestmark = pytest.mark.usefixtures("shop")


async def test_what_was_priced_is_what_is_placed_kept_and_shown(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("tax_rules/vat", VAT)
    address_id = await buyer.address()
    summary = await buyer.price({"1001": 3, "1002": 3}, address_id=address_id)
    # 1,650 grams: 10.00 and two steps; then 10 % of 150.00 and 14.00
    assert [summary[f"{part}_minor"] for part in ("goods", "freight", "tax", "payable")] == [
        15_000,
        1_400,
        1_640,
        18_040,
    ]
    lines = summary["shops"][0]["lines"]
    assert [(line["freight_minor"], line["tax_minor"], line["payable_minor"]) for line in lines] == [
        (636, 964, 10_600),
        (764, 676, 7_440),
    ]
    assert summary["warnings"] == []
    placed = await buyer.place({"1001": 3, "1002": 3}, 18_040, address_id=address_id)
    assert (placed.status_code, placed.json()["payable_minor"]) == (201, 18_040)
    detail = await buyer.client.get(f"/shopping/orders/{placed.json()['order_id']}", headers=buyer.headers)
    kept = detail.json()
    assert (kept["freight_minor"], kept["tax_minor"], kept["payable_minor"]) == (1_400, 1_640, 18_040)
    assert [line["payable_minor"] for line in kept["shops"][0]["lines"]] == [10_600, 7_440]
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_two_shops_pay_their_own_freight_and_the_parent_is_their_sum(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("tax_rules/vat", VAT)
    await put("shops/8", {"name": "Kiln", "currency": "CNY"})
    await put("freight_templates/kiln", {**FREIGHT, "shop_id": "8"})
    sku = {"sku_id": "2001", "prices": {"CNY": {"price_minor": 999}}}
    item = {"shop_id": "8", "title": "Cup", "skus": [sku], "freight_template_id": "kiln"}
    assert (await put("items/cup", item))["freight_template_id"] == "kiln"
    await put("skus/2001/stock", {"on_hand": 10})
    address_id = await buyer.address()
    summary = await buyer.price({"1001": 1, "2001": 1}, address_id=address_id)
    assert [(each["freight_minor"], each["tax_minor"]) for each in summary["shops"]] == [
        (1000, 400),
        (1000, 200),
    ]
    placed = await buyer.place({"1001": 1, "2001": 1}, 6_599, address_id=address_id)
    assert [order["payable_minor"] for order in placed.json()["orders"]] == [4_400, 2_199]
    root = await services.pool.fetchrow("SELECT * FROM orders WHERE parent_id IS NULL")
    assert (root["freight_minor"], root["tax_minor"], root["payable_minor"]) == (2000, 600, 6_599)
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_a_freight_that_is_as_high_as_a_coupon_leaves_both_in_the_ledger(
    put: Put, buyer: Buyer, services: Services, login: Login
) -> None:
    ten_off = {"name": "10 off", "effect": {"kind": "amount_off", "amount_minor": 1000}, "valid_days": 7}
    await put("coupon_templates/ten", ten_off)
    granted = await buyer.client.post(
        "/admin/coupon_templates/ten/grants",
        json={"user_ids": ["42"]},
        headers={**login("ann", "op"), "idempotency-key": "grant"},
    )
    assert granted.status_code < 300, granted.text
    coupon_id = str(await services.pool.fetchval("SELECT coupon_id FROM coupon"))
    address_id = await buyer.address()
    placed = await buyer.place({"1001": 1}, 3000, address_id=address_id, coupon_ids=[coupon_id])
    assert placed.status_code == 201, placed.text
    row = await services.pool.fetchrow("SELECT * FROM orders")
    assert (row["coupon_discount_minor"], row["freight_minor"], row["payable_minor"]) == (1000, 1000, 3000)
    await assert_audit_clean(services, except_for={"waiting_outbox"})


async def test_without_an_address_the_freight_is_still_to_come_and_nothing_is_placed(buyer: Buyer) -> None:
    summary = await buyer.price({"1001": 1})
    assert (summary["freight_minor"], summary["warnings"]) == (0, ["freight_needs_address"])
    refused = await buyer.place({"1001": 1}, 3000)
    assert (refused.status_code, refused.json()["code"]) == (422, "address_invalid")
    assert await buyer.orders() == 0


async def test_without_login_a_region_stands_for_the_address_and_binds_nobody(
    put: Put, buyer: Buyer, client: httpx.AsyncClient
) -> None:
    await put("tax_rules/vat", VAT | {"regions": ["CN"]})
    cart = {"currency": "CNY", "lines": [{"sku_id": "1001", "quantity": 1}], "region": "CN-SH"}
    quote = (await client.post("/shopping/cal_price/v4_4", json=cart)).json()
    assert [quote[f"{part}_minor"] for part in ("freight", "tax", "payable")] == [1_000, 400, 4_400]
    assert quote["warnings"] == []
    far = (await client.post("/shopping/cal_price/v4_4", json=cart | {"region": "CN-XZ"})).json()
    assert (far["payable_minor"], far["warnings"]) == (3_300, ["address_not_served"])
    # of who has logged in the address counts
    assert (await buyer.price({"1001": 1}, region="CN-SH"))["warnings"] == [
        "freight_needs_address",
        "tax_needs_address",
    ]
    west = await buyer.address(region="CN-XJ")
    refused = await buyer.place(
        {"1001": 1}, 4_400, region="CN-SH", address_id=west, quote_id=quote["quote_id"]
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert refused.json()["summary"]["payable_minor"] == 4_950
    assert await buyer.orders() == 0


async def test_where_the_shop_does_not_send_nothing_is_placed(buyer: Buyer, services: Services) -> None:
    address_id = await buyer.address(region="CN-XZ")
    summary = await buyer.price({"1001": 1}, address_id=address_id)
    assert (summary["payable_minor"], summary["warnings"]) == (3000, ["address_not_served"])
    refused = await buyer.place({"1001": 1}, 3000, address_id=address_id)
    assert (refused.status_code, refused.json()["code"]) == (422, "address_blocked")
    assert refused.json()["sku_ids"] == ["1001"]
    assert await buyer.orders() == 0
    assert await services.pool.fetchval("SELECT sum(reserved)::int FROM stock_pool") == 0


async def test_an_address_that_moved_behind_this_processs_back_is_priced_anew(
    buyer: Buyer, services: Services
) -> None:
    address_id = await buyer.address()
    assert (await buyer.price({"1001": 1}, address_id=address_id))["payable_minor"] == 4_000
    await services.pool.execute("UPDATE address SET region = 'CN-XJ'")  # as another process does
    refused = await buyer.place({"1001": 1}, 4_000, address_id=address_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert refused.json()["summary"]["freight_minor"] == 1_500
    assert await buyer.orders() == 0
    assert (await buyer.price({"1001": 1}, address_id=address_id))["payable_minor"] == 4_500
    assert (await buyer.place({"1001": 1}, 4_500, address_id=address_id)).status_code == 201


async def test_an_order_goes_where_the_address_is_now_if_that_costs_the_same(
    buyer: Buyer, services: Services
) -> None:
    address_id = await buyer.address()
    assert (await buyer.price({"1001": 1}, address_id=address_id))["payable_minor"] == 4_000
    await services.pool.execute("UPDATE address SET region = 'CN-BJ'")
    assert (await buyer.place({"1001": 1}, 4_000, address_id=address_id)).status_code == 201
    assert (await services.pool.fetchval("SELECT address FROM orders"))["region"] == "CN-BJ"
    assert await services.pool.fetchval("SELECT sum(reserved)::int FROM stock_pool") == 1


async def test_an_address_that_moved_to_where_the_shop_sends_is_no_longer_refused(
    buyer: Buyer, services: Services
) -> None:
    address_id = await buyer.address(region="CN-XZ")
    assert (await buyer.price({"1001": 1}, address_id=address_id))["payable_minor"] == 3_000
    await services.pool.execute("UPDATE address SET region = 'CN-SH'")
    refused = await buyer.place({"1001": 1}, 3_000, address_id=address_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    assert refused.json()["summary"]["payable_minor"] == 4_000
    assert await buyer.orders() == 0


async def test_an_address_that_the_buyer_changes_counts_at_once(buyer: Buyer) -> None:
    address_id = await buyer.address()
    assert (await buyer.price({"1001": 1}, address_id=address_id))["freight_minor"] == 1_000
    await buyer.address(address_id=address_id, region="CN-XJ")
    assert (await buyer.price({"1001": 1}, address_id=address_id))["freight_minor"] == 1_500


async def test_freight_that_a_promotion_frees_is_told_on_the_order(put: Put, buyer: Buyer) -> None:
    await put("promotions/p", FREE)
    address_id = await buyer.address()
    freed = {"kind": "promotion", "rule_id": "p", "name": "Free freight", "amount_minor": 0}
    freed |= {"freight_minor": 1000}
    summary = await buyer.price({"1001": 1}, address_id=address_id)
    assert (summary["freight_minor"], summary["applied"]) == (0, [freed])
    placed = await buyer.place({"1001": 1}, 3_000, address_id=address_id)
    detail = await buyer.client.get(f"/shopping/orders/{placed.json()['order_id']}", headers=buyer.headers)
    assert detail.json()["applied"] == detail.json()["shops"][0]["lines"][0]["discounts"] == [freed]


async def test_tax_within_the_prices_is_kept_for_the_invoice(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("tax_rules/vat", {**VAT, "rate_bp": 1900, "included": True, "regions": ["CN"]})
    address_id = await buyer.address()
    placed = await buyer.place({"1001": 1}, 4_000, address_id=address_id)
    assert placed.status_code == 201, placed.text
    row = await services.pool.fetchrow("SELECT * FROM order_line")
    assert (row["tax_minor"], row["tax_included_minor"]) == (0, 639)  # 19/119 of 40.00
    detail = await buyer.client.get(f"/shopping/orders/{placed.json()['order_id']}", headers=buyer.headers)
    assert detail.json()["shops"][0]["lines"][0]["tax_included_minor"] == 639


async def test_a_tax_that_requires_an_address_is_not_saved_by_giving_none(put: Put, buyer: Buyer) -> None:
    virtual = {"sku_id": "film", "prices": {"CNY": {"price_minor": 1000}}}
    await put("items/film", {"shop_id": "7", "title": "Film", "item_type": "virtual", "skus": [virtual]})
    await put("skus/film/stock", {"on_hand": 10})
    regional = VAT | {"regions": ["CN-SH"]}
    await put("tax_rules/vat", regional)
    # as ever: what is not sent needs no address
    assert (await buyer.price({"film": 1}))["warnings"] == []
    assert (await buyer.place({"film": 1}, 1_000)).status_code == 201
    await put("tax_rules/vat", regional | {"address_required": True})
    summary = await buyer.price({"film": 1})
    assert (summary["tax_minor"], summary["warnings"]) == (0, ["tax_needs_address"])
    for address_id in (None, "1"):  # none, and nobody's
        refused = await buyer.place({"film": 1}, 1_000, address_id=address_id, quote_id=summary["quote_id"])
        assert (refused.status_code, refused.json()["code"]) == (422, "address_invalid")
        assert refused.json()["sku_ids"] == ["film"]
    assert await buyer.orders() == 1
    home, far = await buyer.address(), await buyer.address(region="CN-BJ")
    assert (await buyer.place({"film": 1}, 1_100, address_id=home)).status_code == 201
    assert (await buyer.place({"film": 1}, 1_000, address_id=far)).status_code == 201
    bill = {"sku_id": "bill", "prices": {"CNY": {"price_minor": 0}}}
    await put("items/bill", {"shop_id": "7", "title": "Bill", "item_type": "bill", "skus": [bill]})
    line = {"sku_id": "bill", "quantity": 1, "amount_minor": 500}
    assert (await buyer.place({}, 500, lines=[line])).status_code == 201


async def test_units_given_back_one_by_one_return_freight_and_tax_too(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("tax_rules/vat", VAT)
    address_id = await buyer.address()
    placed = await buyer.place({"1001": 3}, 11_000, address_id=address_id)  # (9000 + 1000) + 10 %
    order_id = placed.json()["order_id"]
    await pay(services, int(order_id))
    line_id = str(await services.pool.fetchval("SELECT line_id FROM order_line"))
    given_back = []
    for number in range(3):
        answer = await buyer.client.post(
            "/refund/refund",
            json={"order_id": order_id, "lines": [{"line_id": line_id, "quantity": 1}]},
            headers={**buyer.headers, "idempotency-key": f"refund-{number}"},
        )
        assert answer.status_code == 202, answer.text
        given_back.append(answer.json()["amount_minor"])
    assert given_back == [3_666, 3_667, 3_667]


async def test_documents_are_read_back_listed_and_the_same_again_changes_nothing(
    put: Put, buyer: Buyer, services: Services, login: Login
) -> None:
    async def version() -> Any:
        return await services.pool.fetchval("SELECT version FROM snapshot_version WHERE name = 'charges'")

    op = login("ann", "op")
    before = await version()
    stored = await put("freight_templates/t", FREIGHT)
    assert await version() == before
    assert stored["rules"][0]["then"] == {"step": 500, "fee_minor": 200}
    assert (await buyer.client.get("/admin/freight_templates/t", headers=op)).json() == stored
    rule = await put("tax_rules/vat", VAT)
    assert await version() == before + 1
    assert (await buyer.client.get("/admin/tax_rules/vat", headers=op)).json() == rule
    for path, entry in (("freight_templates", stored), ("tax_rules", rule)):
        listed = await buyer.client.get(f"/admin/{path}", headers=op)
        assert listed.json() == {"items": [entry], "next_cursor": None}


async def test_a_merchant_has_its_own_shops_documents_only(
    put: Put, client: httpx.AsyncClient, login: Login
) -> None:
    await put("shops/8", {"name": "Kiln", "currency": "CNY"})
    own, other = login("m", "merchant", "7"), login("n", "merchant", "8")
    mine = {**VAT, "shop_id": "7"}
    assert (await client.put("/admin/tax_rules/mine", json=mine, headers=own)).status_code == 200
    refused = [
        await client.put("/admin/freight_templates/t", json=FREIGHT, headers=other),
        await client.get("/admin/freight_templates/t", headers=other),
        await client.put("/admin/tax_rules/mine", json={**VAT, "shop_id": "8"}, headers=other),
        await client.put("/admin/tax_rules/all", json=VAT, headers=own),
        await client.put("/admin/tax_rules/all", json=VAT, headers=login("42")),
    ]
    assert [answer.status_code for answer in refused] == [403] * 5
    stolen = await client.put(
        "/admin/freight_templates/t", json={**FREIGHT, "shop_id": "8"}, headers=login("ann", "op")
    )
    assert (stolen.status_code, stolen.json()["code"]) == (409, "freight_template_of_other_shop")
    listed = await client.get("/admin/tax_rules", headers=other)
    assert listed.json()["items"] == []


async def test_what_does_not_exist_is_not_found(put: Put, client: httpx.AsyncClient, login: Login) -> None:
    await put("shops/8", {"name": "Kiln", "currency": "CNY"})
    op = login("ann", "op")
    shop = {"name": "Kiln", "currency": "CNY", "freight_template_id": "t"}
    item = {"shop_id": "8", "title": "Cup", "skus": [], "freight_template_id": "t"}
    answers = [
        await client.get("/admin/freight_templates/none", headers=op),
        await client.put("/admin/shops/8", json=shop, headers=op),  # it is shop 7's
        await client.put("/admin/items/cup", json=item, headers=op),
        await client.get("/admin/tax_rules/none", headers=op),
        await client.put("/admin/tax_rules/x", json={**VAT, "shop_id": "99"}, headers=op),
        await client.put("/admin/freight_templates/x", json={**FREIGHT, "shop_id": "99"}, headers=op),
    ]
    codes = ["freight_template_not_found"] * 3 + ["tax_rule_not_found"] + ["shop_not_found"] * 2
    assert [(each.status_code, each.json()["code"]) for each in answers] == [(404, code) for code in codes]


async def test_a_quote_holds_with_its_freight_and_tax_until_the_address_moves(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("tax_rules/vat", {**VAT, "included": True})
    await put("promotions/p", FREE | {"limits": {"max_discount_minor": 300}})
    address_id = await buyer.address()
    quote = await buyer.price({"1001": 1}, address_id=address_id)
    assert (quote["payable_minor"], quote["applied"][0]["freight_minor"]) == (3_700, 300)
    dearer = [FREIGHT["rules"][0] | {"first": {"upto": 1000, "fee_minor": 9_000}}, FREIGHT["rules"][1]]
    await put("freight_templates/t", FREIGHT | {"rules": dearer})
    more = {"address_id": address_id, "quote_id": quote["quote_id"]}
    assert (await buyer.price({"1001": 1}, address_id=address_id))["payable_minor"] == 11_700
    await services.pool.execute("UPDATE address SET region = 'CN-XJ'")
    assert (await buyer.place({"1001": 1}, 3_700, **more)).status_code == 409
    await services.pool.execute("UPDATE address SET region = 'CN-BJ'")
    assert (await buyer.place({"1001": 1}, 3_700, **more)).status_code == 409
    await buyer.address(address_id=address_id)  # back where it was quoted for
    assert (await buyer.place({"1001": 1}, 3_700, **more)).status_code == 201
    line = await services.pool.fetchrow("SELECT * FROM order_line")
    assert (line["freight_minor"], line["tax_included_minor"]) == (700, 336)
    assert line["discounts"] == quote["shops"][0]["lines"][0]["discounts"]


async def test_a_quote_from_before_the_login_takes_no_freight_and_no_tax_off_a_cart_with_an_address(
    put: Put, buyer: Buyer, services: Services
) -> None:
    await put("tax_rules/vat", VAT | {"regions": ["CN"]})
    address_id = await buyer.address()
    stranger = Buyer(buyer.client, services, {})
    quoted = await stranger.price({"1001": 1}, address_id=address_id)
    assert (quoted["payable_minor"], quoted["warnings"]) == (
        3_000,
        ["freight_needs_address", "tax_needs_address"],
    )
    refused = await buyer.place({"1001": 1}, 3_000, address_id=address_id, quote_id=quoted["quote_id"])
    assert (refused.status_code, refused.json()["code"]) == (409, "price_changed")
    # 30.00 and 10.00 to Shanghai, and 10 % of both
    assert refused.json()["summary"]["payable_minor"] == 4_400
    assert await buyer.orders() == 0
