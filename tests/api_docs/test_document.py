"""The OpenAPI document is whole: every call of the contract, every error, every example; readable offline."""

from __future__ import annotations

import ast
import re
from typing import Any

import httpx
import msgspec
import pytest
from openapi_spec_validator import validate

from app.api_docs.document import document as build
from app.api_docs.examples import EXAMPLES
from app.api_docs.requests import REQUESTS
from app.checkout.schemas import PlacedOrder
from app.http import create_framework
from app.lib.errors import AppError
from app.pricing.schemas import CartRequest, CheckoutRequest, Summary
from tests.test_tidy import APP, error_classes

CONTRACT = [
    "POST /shopping/cal_price/v4_4",
    "POST /shopping/user_coupons_for_order",
    "GET /shopping/cart/entries",
    "POST /shopping/cart/entries",
    "DELETE /shopping/cart/entries",
    "POST /shopping/cart/checkout/entries",
    "GET /shopping/orders/{order_id}/pay_cm",
    "POST /shopping/orders/{order_id}/payments",
    "POST /shopping/orders/{order_id}/paid_from_client",
    "POST /coupon/redeem",
    "GET /shopping/orders",
    "GET /shopping/orders/{order_id}",
    "POST /shopping/orders/{order_id}/cancel",
    "POST /shopping/orders/{order_id}/confirm_receipt",
    "PUT /admin/promotions/{promotion_id}",
    "PUT /admin/coupon_templates/{template_id}",
    "POST /admin/coupon_templates/{template_id}/grants",
    "GET /admin/orders",
    "POST /refund/refund",
    "GET /address-api/addresses/list",
    "POST /address-api/addresses/list",
    "POST /address-api/upsert",
    "POST /event/payment_notified_cm",
    "POST /event/payment_failed_cm",
    "POST /event/refund_notified",
    "POST /event/purchased",
    "POST /event/group_update",
    "POST /event/logistics_updated",
    "POST /event/fulfilment_updated",
    "PUT /admin/shops/{shop_id}",
    "PUT /admin/items/{item_id}",
    "PUT /admin/skus/{sku_id}/stock",
    "POST /admin/skus/{sku_id}/stock/adjust",
    "PUT /admin/flash_sales/{activity_id}",
    "POST /merchant/campaigns",
    "GET /merchant/campaigns",
    "GET /merchant/campaigns/{campaign_id}",
    "PUT /merchant/campaigns/{campaign_id}",
    "POST /merchant/campaigns/{campaign_id}/submit",
    "PUT /merchant/campaign_items/{campaign_item_id}/stock",
    "PUT /merchant/campaign_items/{campaign_item_id}/sell_status",
    "GET /op/campaigns",
    "GET /op/campaigns/{campaign_id}",
    "POST /op/campaigns/{campaign_id}/review",
    "POST /op/campaigns/{campaign_id}/publish",
    "PUT /admin/fx_rates",
    "GET /op/slots",
    "PUT /op/slots",
    "GET /groupbuy/campaigns",
    "POST /groupbuy/campaigns/query",
    "GET /groupbuy/campaign_items/{campaign_item_id}",
    "GET /groupbuy/groups/{group_id}",
    "GET /groupbuy/groups/{group_id}/stream",
    "GET /g/{share_code}",
    "POST /groupbuy/orders",
    "GET /groupbuy/orders",
    "GET /groupbuy/orders/{order_id}",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
]

# Refusals that no call of a client can get, and why.
NOT_OF_A_ROUTE = {
    "method_not_allowed": "the answer to a method that a path does not have",
    "not_found": "the answer to a path that is none",
}
OTHER_THAN_JSON = {
    "/g/{share_code}": "text/html",
    "/g/{share_code}/card.png": "image/png",
    "/groupbuy/groups/{group_id}/stream": "text/event-stream",
}
NEEDS_A_KEY = {
    "/admin/orders/{order_id}/price_change",
    "/shopping/cart/checkout/entries",
    "/shopping/orders/{order_id}/payments",
    "/refund/refund",
    "/coupon/redeem",
    "/coupon/claim",
    "/groupbuy/orders",
    "/admin/coupon_templates/{template_id}/grants",
    "/admin/skus/{sku_id}/stock/adjust",
    "/admin/points/grants",
    "/admin/gift_cards",
    "/admin/red_packet_pools/{pool_id}/fund",
    "/admin/red_packet_pools/{pool_id}/send",
}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build(create_framework(None))


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def codes(operation: dict[str, Any]) -> set[str]:
    return {
        code
        for response in operation["responses"].values()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


def test_every_call_of_the_contract_is_there(document: dict[str, Any]) -> None:
    assert [call for call in CONTRACT if call not in operations(document)] == []


def test_every_operation_says_what_it_does_takes_gives_and_refuses(document: dict[str, Any]) -> None:
    for call, operation in operations(document).items():
        assert operation["summary"], call
        assert len(operation["tags"]) == 1, call
        assert "security" in operation, call
        assert "internal_error" in codes(operation), call
        method, path = call.split()
        success = next(response for status, response in operation["responses"].items() if status < "300")
        if path != "/metrics" and method != "DELETE":
            assert list(success["content"]) == [OTHER_THAN_JSON.get(path, "application/json")], call
        if operation["security"] == [{"bearer": []}]:
            assert "unauthorized" in codes(operation), call
        if "requestBody" in operation:
            assert {"invalid_request", "not_json", "body_too_large"} <= codes(operation), call


def test_events_are_described_by_what_each_of_them_holds(document: dict[str, Any]) -> None:
    answers = operations(document)["GET /groupbuy/groups/{group_id}/stream"]["responses"]
    assert answers["200"]["content"] == {
        "text/event-stream": {"schema": {"$ref": "#/components/schemas/Group"}}
    }
    assert "content" not in answers["204"]
    assert {"too_many_watchers", "stopping", "ledger_down"} <= answers["503"]["content"][
        "application/problem+json"
    ]["examples"].keys()


def test_a_page_has_pages_for_its_errors_too(document: dict[str, Any]) -> None:
    answers = operations(document)["GET /g/{share_code}"]["responses"]
    assert list(answers["404"]["content"]) == ["text/html"]
    assert answers["503"]["content"].keys() == {"application/problem+json", "text/html"}


def test_every_error_code_of_the_service_is_named_by_some_operation(document: dict[str, Any]) -> None:
    named = set().union(*(codes(operation) for operation in operations(document).values()))
    assert sorted(raised_codes() - named - set(NOT_OF_A_ROUTE)) == []


def raised_codes() -> set[str]:
    """Codes of classes that are raised by name, and codes given where an error is raised."""
    found: set[str] = set()
    for path in APP:
        if "sandbox" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                error = error_classes().get(node.func.id)
                given = {word.arg: word.value for word in node.keywords}.get("code")
                if error is not None and error is not AppError and isinstance(given, ast.Constant | None):
                    found.add(error.code if given is None else given.value)
    return found


def test_every_call_that_reads_a_token_may_refuse_it_and_may_be_called_too_often(
    document: dict[str, Any],
) -> None:
    calls = operations(document)
    reading = {name for name, call in calls.items() if {"bearer": []} in call["security"]}
    assert {"PUT /admin/shops/{shop_id}", "GET /groupbuy/groups", "POST /shopping/cal_price/v4_4"} <= reading
    for name in reading:
        assert {"401", "429"} <= set(calls[name]["responses"]), name
        assert "Retry-After" in calls[name]["responses"]["429"]["headers"], name


def test_calls_that_count_once_require_their_key(document: dict[str, Any]) -> None:
    required = {
        call.split()[1]
        for call, operation in operations(document).items()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "Idempotency-Key" and parameter["required"]
    }
    assert required == NEEDS_A_KEY


def test_bodies_are_described_as_strictly_as_they_are_read(document: dict[str, Any]) -> None:
    cart = document["components"]["schemas"]["CartRequest"]
    assert cart["additionalProperties"] is False
    assert cart["required"] == ["currency", "lines"]
    assert cart["properties"]["lines"]["maxItems"] == 100
    line = document["components"]["schemas"]["CartLine"]
    assert line["properties"]["quantity"] == {"type": "integer", "minimum": 1, "maximum": 9_999}


def test_queries_are_described_as_strictly_as_they_are_read(document: dict[str, Any]) -> None:
    for path in ("/groupbuy/campaigns", "/op/campaigns"):  # without the framework, and with it
        found = {each["name"]: each for each in document["paths"][path]["get"]["parameters"]}
        assert found["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200}
        assert (found["shop_id"]["in"], found["shop_id"]["required"]) == ("query", False)
        assert found["shop_id"]["schema"]["maxLength"] == 64
        assert "next_cursor" in found["cursor"]["description"]
    for path in ("/groupbuy/campaigns", "/admin/items"):  # by names, both ways
        cursor = next(e for e in document["paths"][path]["get"]["parameters"] if e["name"] == "cursor")
        assert cursor["schema"]["pattern"].startswith("^(after:")


def test_the_examples_are_what_the_calls_take_and_give() -> None:
    shapes: dict[str, tuple[Any, Any]] = {
        "/shopping/cal_price/v4_4": (CartRequest, Summary),
        "/shopping/cart/checkout/entries": (CheckoutRequest, PlacedOrder),
    }
    assert shapes.keys() == EXAMPLES.keys()
    for path, example in EXAMPLES.items():
        for value, shape in zip(example, shapes[path], strict=True):
            decoded = msgspec.json.decode(msgspec.json.encode(value), type=shape)
            # a request leaves out what is as usual (app/lib/idempotency.py)
            said = {field: getattr(decoded, field) for field in value}
            assert msgspec.json.decode(msgspec.json.encode(said)) == value


def test_every_body_has_an_example_and_every_example_is_taken_as_it_stands(document: dict[str, Any]) -> None:
    bodies = {
        call: operation["requestBody"]["content"]["application/json"]
        for call, operation in operations(document).items()
        if "requestBody" in operation
    }
    assert [call for call, media in bodies.items() if "example" not in media] == []
    shapes = {
        f"{method} {route.path_format}": handler.parsed_fn_signature.parameters["data"].annotation
        for route in create_framework(None).routes
        for method, (handler, _) in getattr(route, "route_handler_map", {}).items()
        if "data" in handler.parsed_fn_signature.parameters
    }
    for call, example in REQUESTS.items():
        assert call in bodies, call
        msgspec.json.decode(msgspec.json.encode(example), type=shapes[call])


async def test_the_page_and_the_document_come_from_the_service_itself(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href|url)(?:=|: )"([^"]+)"', page.text)
    assert sorted(loaded) == [
        "/docs/assets/swagger-ui-bundle.js",
        "/docs/assets/swagger-ui.css",
        "/openapi.json",
        "data:,",
    ]
    for path in loaded:
        if path.startswith("/"):
            assert (await client.get(path)).status_code == 200, path
    described = (await client.get("/openapi.json")).json()
    assert described["info"]["title"] == "Rushcart"


async def test_no_other_file_of_the_machine_can_be_read_as_an_asset(client: httpx.AsyncClient) -> None:
    for name in ("swagger-editor.js", "..%2f__init__.py", "%2fetc%2fpasswd"):
        answer = await client.get(f"/docs/assets/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
