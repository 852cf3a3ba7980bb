"""What a buyer, a shop and an operator see of orders."""

import httpx

from app.bootstrap import Services
from tests.conftest import Login
from tests.placed import give_coupon, pay, place, stock_sku


async def listed(client: httpx.AsyncClient, headers: dict[str, str], **query: object) -> list[str]:
    answer = await client.get("/shopping/orders", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    return [entry["order_id"] for entry in answer.json()["items"]]


async def test_the_detail_repeats_the_summary_with_line_ids(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "1001")
    coupon_id = await give_coupon(services)
    order_id = await place(services, ("1001", 3), coupon_id=coupon_id)
    line_id = await services.pool.fetchval("SELECT line_id FROM order_line")

    detail = (await client.get(f"/shopping/orders/{order_id}", headers=login("42"))).json()

    assert (detail["order_id"], detail["status"], detail["parent_id"]) == (str(order_id), "NOT_PAID", None)
    amounts = ("goods_minor", "coupon_discount_minor", "freight_minor", "payable_minor")
    assert [detail[name] for name in amounts] == [3000, 100, 0, 2900]
    assert detail["pay_deadline"] > detail["created_at"]
    coupon = {"kind": "coupon", "rule_id": str(coupon_id), "name": "1 off", "amount_minor": 100}
    assert detail["applied"] == [coupon]
    (shop,) = detail["shops"]
    assert (shop["shop_id"], shop["discount_minor"], shop["payable_minor"]) == ("7", 100, 2900)
    (line,) = shop["lines"]
    assert line == {
        "line_id": str(line_id),
        "sku_id": "1001",
        "title": "Tea",
        "item_type": "physical",
        "quantity": 3,
        "unit_price_minor": 1000,
        "list_price_minor": 1000,
        "goods_minor": 3000,
        "discount_minor": 100,
        "freight_minor": 0,
        "tax_minor": 0,
        "payable_minor": 2900,
        "discounts": [coupon],
        "refunded_quantity": 0,
        "refunded_minor": 0,
    }
    assert (detail["payments"], detail["refunds"]) == ([], [])


async def test_the_detail_of_a_paid_order_names_its_payment(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "1001")
    order_id = await place(services, ("1001", 1))
    payment_id = await pay(services, order_id)
    detail = (await client.get(f"/shopping/orders/{order_id}", headers=login("42"))).json()
    assert detail["status"] == "PENDING_SHIPMENT"
    (payment,) = detail["payments"]
    assert (payment["payment_id"], payment["status"], payment["amount_minor"]) == (
        str(payment_id),
        "CAPTURED",
        1000,
    )


async def test_somebody_elses_order_does_not_exist(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "1001")
    order_id = await place(services, ("1001", 1))
    for path in (f"/shopping/orders/{order_id}", "/shopping/orders/nonsense", f"/shopping/orders/{10**30}"):
        answer = await client.get(path, headers=login("43"))
        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
    assert await listed(client, login("43")) == []


async def test_a_split_order_is_one_entry_until_it_is_paid_then_its_children(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "a", shop_id="7")
    await stock_sku(services.pool, "b", shop_id="8")
    root_id = await place(services, ("a", 1), ("b", 2))
    rows = await services.pool.fetch("SELECT order_id FROM orders WHERE parent_id = $1 ORDER BY 1", root_id)
    children = [str(row["order_id"]) for row in rows]
    assert await listed(client, login("42")) == [str(root_id)]
    detail = (await client.get(f"/shopping/orders/{root_id}", headers=login("42"))).json()
    assert [shop["order_id"] for shop in detail["shops"]] == children

    await pay(services, root_id)

    assert await listed(client, login("42")) == children[::-1]
    detail = (await client.get(f"/shopping/orders/{children[1]}", headers=login("42"))).json()
    assert (detail["parent_id"], detail["payable_minor"]) == (str(root_id), 2000)
    assert [payment["amount_minor"] for payment in detail["payments"]] == [3000]


async def test_the_list_pages_and_filters_by_status(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "1001", on_hand=100)
    ids = [str(await place(services, ("1001", 1))) for _ in range(5)]
    await pay(services, int(ids[1]))
    newest_first = ids[::-1]
    seen, cursor = [], ""
    for _ in range(3):
        page = (
            await client.get("/shopping/orders", headers=login("42"), params={"limit": 2, "cursor": cursor})
        ).json()
        seen += [entry["order_id"] for entry in page["items"]]
        cursor = page["next_cursor"]
    assert (seen, cursor) == (newest_first, None)
    assert await listed(client, login("42"), status="PENDING_SHIPMENT") == [ids[1]]
    assert await listed(client, login("42"), status=["PENDING_SHIPMENT", "NOT_PAID"]) == newest_first
    refused = await client.get("/shopping/orders", headers=login("42"), params={"status": "NOWHERE"})
    assert refused.status_code == 400


async def test_a_listed_order_names_its_lines(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "a", shop_id="7")
    await stock_sku(services.pool, "b", shop_id="8")
    await place(services, ("a", 1), ("b", 2))
    (entry,) = (await client.get("/shopping/orders", headers=login("42"))).json()["items"]
    assert [(line["sku_id"], line["quantity"], line["payable_minor"]) for line in entry["lines"]] == [
        ("a", 1, 1000),
        ("b", 2, 2000),
    ]


async def test_a_merchant_sees_its_own_shops_orders_and_an_operator_all(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "a", shop_id="7")
    await stock_sku(services.pool, "b", shop_id="8")
    await place(services, ("a", 1), ("b", 2))
    await place(services, ("b", 1), buyer_id="43")

    async def shops(headers: dict[str, str], **query: str) -> list[str]:
        answer = await client.get("/admin/orders", headers=headers, params=query)
        return [entry["shop_id"] for entry in answer.json()["items"]]

    merchant, op = login("m", "merchant", "7"), login("o", "op")
    assert await shops(merchant) == ["7"]
    assert await shops(merchant, shop_id="8") == ["7"]
    assert await shops(op) == ["8", "8", "7"]
    assert await shops(op, shop_id="8", buyer_id="43") == ["8"]
    assert (await client.get("/admin/orders", headers=login("42"))).status_code == 403

    other = await services.pool.fetchval("SELECT max(order_id) FROM orders")
    assert (await client.get(f"/admin/orders/{other}", headers=merchant)).status_code == 404
    assert (await client.get(f"/admin/orders/{other}", headers=op)).json()["buyer_id"] == "43"


async def test_receipt_is_confirmed_once_and_only_of_goods_on_their_way(
    client: httpx.AsyncClient, services: Services, login: Login
) -> None:
    await stock_sku(services.pool, "1001")
    order_id = await place(services, ("1001", 1))
    await pay(services, order_id)
    path = f"/shopping/orders/{order_id}/confirm_receipt"
    early = await client.post(path, headers=login("42"))
    assert (early.status_code, early.json()["code"]) == (409, "receipt_not_confirmable")
    assert await services.pool.fetchval("SELECT status FROM orders") == "PENDING_SHIPMENT"

    await services.pool.execute("UPDATE orders SET status = 'PENDING_RECEIVING'")
    answers = [await client.post(path, headers=login("42")) for _ in range(2)]
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "COMPLETED")] * 2
    assert await services.pool.fetchval("SELECT count(*) FROM outbox WHERE topic = 'order.completed'") == 1
    assert (await client.post(path, headers=login("43"))).status_code == 404
