"""`rushcart rehearse`: what a draft would have done to orders that were placed, in exact figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.bootstrap import Services
from app.promotions.command import run_rehearse
from app.runtime.children import ROOT
from app.settings import Settings
from tests.conftest import Login

HALF = {"name": "Half", "lane": "shop", "effect": {"kind": "percent_off", "percent_bp": 5_000}}
SKUS = [
    {"sku_id": "a", "prices": {"CNY": {"price_minor": 10_000, "cost_minor": 6_000}}},
    {"sku_id": "b", "prices": {"CNY": {"price_minor": 2_000}}},
]


@pytest.fixture
def op(login: Login) -> dict[str, str]:
    return login("ann", "op")


@pytest.fixture(autouse=True)
async def catalog(client: httpx.AsyncClient, op: dict[str, str]) -> None:
    await client.put("/admin/shops/7", json={"name": "Lan", "currency": "CNY"}, headers=op)
    item = {"shop_id": "7", "title": "Tea", "item_type": "virtual", "skus": SKUS}
    assert (await client.put("/admin/items/tea", json=item, headers=op)).status_code == 200
    for sku_id in ("a", "b"):
        await client.put(f"/admin/skus/{sku_id}/stock", json={"on_hand": 50}, headers=op)


@pytest.fixture
def publish(client: httpx.AsyncClient, op: dict[str, str]) -> Any:
    async def call(**fields: Any) -> None:
        url = "/admin/promotions/p?override=true"
        answer = await client.put(url, json=HALF | fields, headers=op)
        assert answer.status_code == 200, answer.text

    return call


@pytest.fixture
def order(client: httpx.AsyncClient, login: Login) -> Any:
    async def call(key: str, payable_minor: int, **quantities: int) -> str:
        lines = [{"sku_id": sku_id, "quantity": quantity} for sku_id, quantity in quantities.items()]
        answer = await client.post(
            "/shopping/cart/checkout/entries",
            json={"currency": "CNY", "lines": lines, "payable_minor": payable_minor},
            headers=login("42") | {"idempotency-key": key},
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["order_id"])

    return call


@pytest.fixture
def rehearse(settings: Settings, tmp_path: Path) -> Any:
    """The rows of the table and of the chart by their first column, and what stands below."""

    def call(*options: str, **document: Any) -> tuple[dict[str, str], str]:
        path = tmp_path / "promotion.json"
        path.write_text(json.dumps(HALF | document))
        servers = {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
        done = subprocess.run(
            [sys.executable, "-m", "app", "rehearse", str(path), *options],
            cwd=ROOT,
            env=os.environ | servers | {"COLUMNS": "160"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
        return {row[0].strip(): row[-1].strip() for row in rows}, done.stdout

    return call


async def test_only_the_draft_makes_the_difference(
    publish: Any, order: Any, rehearse: Any, services: Services
) -> None:
    old = await order("1", 10_000, a=1)  # at a price without the promotion that is on now
    await publish(effect={"kind": "percent_off", "percent_bp": 1_000})
    both = await order("2", 21_600, a=2, b=2)
    await order("3", 1_800, b=1)
    gone = await order("4", 1_800, b=1)
    await services.pool.execute("UPDATE orders SET priced_with = NULL WHERE order_id = $1", int(gone))
    rows, told = rehearse(lane="platform", scope={"sku_ids": ["a"]})
    assert {name: rows[name] for name in list(rows)[:8]} == {
        "orders": "3",
        "orders touched": "2",
        "discount given": "135.00",
        "their goods, without": "306.00",
        "their goods, with": "171.00",
        "lines of known cost": "2 of 3",
        "margin, without": "90.00",
        "margin, with": "-45.00",
    }
    assert rows["worst line"] == f"1 × a of {old}"
    assert "90.00 → 45.00, cost 60.00" in told
    chart = {line[:12].strip(): line.split()[-1] for line in told.splitlines() if "up to" in line}
    assert chart == {
        "up to 5 %": "0",
        "up to 10 %": "0",
        "up to 20 %": "0",
        "up to 30 %": "0",
        "up to 50 %": "2",
        "up to 100 %": "0",
    }
    assert f"Orders that cannot be replayed: 1\n  {gone}: how it was priced is not on record" in told
    await services.pool.execute(
        "UPDATE orders SET created_at = created_at - interval '7 days' WHERE order_id = $1", int(both)
    )
    # the third is left: the first is one too many, the second too old
    assert rehearse("--orders-max", "3")[0]["orders"] == "1"
    assert await services.pool.fetchval("SELECT count(*) FROM promotion") == 1


async def test_a_new_version_stands_in_place_of_the_old_and_its_budget_is_used_up(
    publish: Any, order: Any, rehearse: Any
) -> None:
    await publish(effect={"kind": "percent_off", "percent_bp": 1_000})
    for key in "12":
        await order(key, 9_000, a=1)
    rows, _ = rehearse(promotion_id="p", limits={"budget_minor": 9_999}, starts_at="2100-01-01T00:00:00Z")
    given = [rows[name] for name in ("orders touched", "discount given", "their goods, with")]
    # the second order finds 49.99 left, and the old version gone
    assert given == ["2", "50.00", "150.00"]


async def test_what_a_buyer_had_used_of_another_rule_is_used_on_both_sides(
    publish: Any, order: Any, rehearse: Any
) -> None:
    await publish(limits={"uses_per_buyer_max": 1})
    await order("1", 5_000, a=1)
    await order("2", 10_000, a=1)
    rows, _ = rehearse(scope={"sku_ids": ["b"]})
    assert [rows[name] for name in ("orders", "orders touched", "discount given")] == ["2", "0", "0.00"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "No such file or directory"),
        (b"{", "Input data was truncated"),
        (b"\xff", "malformed"),
        (json.dumps(HALF | {"lan": 1}).encode(), "unknown field `lan`"),
        (
            json.dumps(HALF | {"ends_at": "2021-01-01T00:00:00Z"}).encode(),
            "it is over since 2021-01-01 00:00",
        ),
    ],
)
async def test_a_bad_file_is_one_clear_line(
    settings: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    content: bytes | None,
    says: str,
) -> None:
    path = tmp_path / "draft.json"
    if content is not None:
        path.write_bytes(content)
    assert await run_rehearse(settings, path, days=7, orders_max=10) == 1
    out, told = capsys.readouterr()
    assert (out, told.startswith("draft.json: "), told.count("\n")) == ("", True, 1)
    assert says in told
