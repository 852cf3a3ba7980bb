"""`python -m loadtest.settle`: ten thousand groups end at one moment; how long until all are settled?

In: how many groups. Out: the seconds from their end until the last one was settled by one `rushcart worker`
(orders made, or refunds requested), what became of them, and the exit code: 1 when that took more than a
minute or the audit finds something. API, worker, sandbox provider and both servers share the machine, and
refunds are sent all the while.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import httpx
import typer
from rich.console import Console

from app.lib.auth import make_token
from app.runtime import children
from app.runtime.children import Child
from app.settings import Settings
from loadtest.installation import Installation, own_installation
from loadtest.processes import cpu_s
from loadtest.prove import audit_problems

SCRIPT = Path(__file__).with_name("groups.sql")
GROUPS = 10_000
SLOTS = 3
PRICE_MINOR = 8_000
# What the project promises.
SETTLED_WITHIN_S = 60.0
# A machine that needs ten times as long gets a figure, too.
WAIT_LIMIT_S = 600.0
POLL_S = 0.05
POLICIES = ("last_member", "each_member", "on_success")
# "short": two of three members are enough.
COMPLETE_FROM_BP = {"whole": None, "short": 6_000}


def settle(
    groups: Annotated[int, typer.Option(help="Groups that end at one moment", min=1)] = GROUPS,
    workers: Annotated[int, typer.Option(help="Worker processes", min=1, max=8)] = 1,
) -> None:
    """Full ones, failed ones and short ones, of every stock policy, all due at once."""
    console = Console()
    with own_installation() as shop:
        more = [
            Child(f"worker-{n}", "worker", data_dir=shop.folder, environment=dict(os.environ))
            for n in range(1, workers)
        ]
        for worker in more:
            worker.start()
        try:
            took_s = asyncio.run(_measure(shop, groups, console))
            problems = audit_problems(shop.folder)
        finally:
            children.stop(more)
    if took_s > SETTLED_WITHIN_S:
        problems.append(f"{took_s:.1f} s are more than {SETTLED_WITHIN_S:.0f}.")
    console.print("The audit is clean." if not problems else "\n".join(problems), markup=False)
    raise typer.Exit(1 if problems else 0)


async def _measure(shop: Installation, groups: int, console: Console) -> float:
    await _publish_campaigns(shop.settings, groups)
    connection = await asyncpg.connect(shop.settings.database_url)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config('settle.groups', $1, true)", str(groups))
            await connection.execute(SCRIPT.read_text())
            paid = await connection.fetch("SELECT order_id FROM made_order WHERE is_paid")
            _tell_provider(shop, [row["order_id"] for row in paid])
        ended, used_s = time.monotonic(), cpu_s(shop.run.pid)
        while await connection.fetchval("SELECT count(*) FROM buy_group WHERE status = 'OPEN'"):
            if time.monotonic() - ended > WAIT_LIMIT_S:
                raise SystemExit("Some groups are open still.")
            await asyncio.sleep(POLL_S)
        took_s = time.monotonic() - ended
        await _show(connection, groups, took_s, console)
        console.print(f"Meanwhile all processes used {cpu_s(shop.run.pid) - used_s:.1f} s of a core.")
        while await connection.fetchval("SELECT count(*) FROM refund WHERE status <> 'SUCCEEDED'"):
            if time.monotonic() - ended > WAIT_LIMIT_S:
                raise SystemExit("Some refunds have not gone back.")
            await asyncio.sleep(POLL_S)
        console.print(f"All money is back after {time.monotonic() - ended:.1f} s.")
    finally:
        await connection.close()
    return took_s


async def _show(connection: Any, groups: int, took_s: float, console: Console) -> None:
    rows = await connection.fetch(
        "SELECT status || CASE WHEN completed_short THEN ' short' ELSE '' END AS what, count(*) AS n"
        " FROM buy_group GROUP BY 1 ORDER BY 1"
    )
    ended = ", ".join(f"{row['n']:,} {row['what']}" for row in rows)
    orders = await connection.fetchval("SELECT count(*) FROM group_order WHERE status = 'SUCCEEDED'")
    refunds = await connection.fetchval("SELECT count(*) FROM refund")
    console.print(f"{groups:,} groups settled in {took_s:.1f} s, {groups / took_s:,.0f} a second: {ended}; "
                  f"{orders:,} orders made, {refunds:,} refunds requested.")  # fmt: skip


def _tell_provider(shop: Installation, order_ids: list[int]) -> None:
    """The sandbox provider has taken the money for these, so that it can give it back."""
    books = sqlite3.connect(shop.folder / "sandbox.sqlite3", timeout=30.0)
    with books:
        books.executemany(
            "INSERT INTO payment (reference, psp_reference, amount_minor, currency, capture, notify_url,"
            " status, captured_minor) VALUES (?, ?, ?, 'CNY', 'automatic', ?, 'captured', ?)",
            [
                (str(each + 2), f"made-{each}", PRICE_MINOR, shop.settings.base_url(), PRICE_MINOR)
                for each in order_ids
            ],
        )
    books.close()


async def _publish_campaigns(settings: Settings, groups: int) -> None:
    """One for every policy, whole and short; of `on_success` with less stock than its members want."""
    async with httpx.AsyncClient(base_url=settings.base_url(), timeout=30.0, trust_env=False) as http:
        op = {"Authorization": f"Bearer {make_token(settings, sub='settle', role='op')}"}
        merchant = {
            "Authorization": f"Bearer {make_token(settings, sub='mei', role='merchant', shop_id='tea')}"
        }

        async def call(who: dict[str, str], method: str, path: str, body: Any = None) -> Any:
            answer = await http.request(method, path, json=body, headers=who)
            if not answer.is_success:
                raise SystemExit(f"{method} {path} was refused: {answer.status_code} {answer.text}")
            return answer.json()

        await call(op, "PUT", "/admin/shops/tea", {"name": "Tea", "currency": "CNY"})
        for policy in POLICIES:
            for extent, complete_from_bp in COMPLETE_FROM_BP.items():
                name = f"{policy} {extent}"
                stock = groups // 4 if policy == "on_success" else groups * SLOTS
                await call(op, "PUT", f"/admin/items/{policy}-{extent}", _item(name, f"{policy}-{extent}"))
                await call(op, "PUT", f"/admin/skus/{policy}-{extent}/stock", {"on_hand": stock})
                document = _campaign(name, f"{policy}-{extent}", policy, stock, complete_from_bp)
                campaign = await call(merchant, "POST", "/merchant/campaigns", document)
                path = f"campaigns/{campaign['campaign_id']}"
                await call(merchant, "POST", f"/merchant/{path}/submit")
                await call(op, "POST", f"/op/{path}/review", {"all": {"passed": True}})
                await call(op, "POST", f"/op/{path}/publish")


def _item(title: str, sku_id: str) -> dict[str, Any]:
    sku = {"sku_id": sku_id, "prices": {"CNY": {"price_minor": PRICE_MINOR + 2_000}}}
    return {"shop_id": "tea", "title": title, "item_type": "virtual", "skus": [sku]}


def _campaign(
    name: str, sku_id: str, policy: str, stock: int, complete_from_bp: int | None
) -> dict[str, Any]:
    item = {"sku_id": sku_id, "currency": "CNY", "sale_price_minor": PRICE_MINOR,
            "settlement_price_minor": PRICE_MINOR, "total_stock": stock}  # fmt: skip
    return {"item_id": sku_id, "name": name,
            "starts_at": "2026-01-01T00:00:00Z", "ends_at": "2126-01-01T00:00:00Z",
            "orders_to_succeed": SLOTS, "group_open_s": 3_600, "stock_policy": policy,
            "complete_from_bp": complete_from_bp, "items": [item]}  # fmt: skip


if __name__ == "__main__":
    typer.run(settle)
