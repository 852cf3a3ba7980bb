"""What a load balancer and an operator ask first."""

import httpx

from tests.conftest import Login


async def test_a_living_process_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_ready_means_that_the_ledger_answers_and_names_the_gate(client: httpx.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.json() == {"status": "ready", "ledger": "up", "gate": "up"}


async def test_metrics_count_requests_by_route_and_status(client: httpx.AsyncClient) -> None:
    await client.get("/healthz")
    text = (await client.get("/metrics")).text
    assert 'rushcart_request_seconds_count{route="/healthz",status="200"}' in text


async def test_an_unknown_path_is_a_problem_document_with_a_request_id(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nowhere", headers={"x-request-id": "abc"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == "abc"
    assert answer.json()["code"] == "not_found"


async def test_a_body_that_is_missing_is_asked_for(client: httpx.AsyncClient, login: Login) -> None:
    answer = await client.put("/admin/shops/7", headers=login("ann", "op"))
    assert (answer.status_code, answer.json()["detail"]) == (400, "the request needs a JSON body")
