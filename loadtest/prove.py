"""After a load: is the ledger what was answered?

Every 201 is an order and every order was answered with 201; nothing is lost, doubled or left behind
(`rushcart audit`, once the worker has ended what the orders began).
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg

from app.runtime.children import PROGRAM, ROOT
from loadtest.open_groups import GROUP_PATH
from loadtest.processes import Processes, Server
from loadtest.scrape import scrape
from loadtest.stage import CHECKOUT_PATH

# The relay exports what minutes of orders at full speed have put into the outbox.
AUDIT_LIMIT_S = 300.0
AUDIT_EVERY_S = 2.0
# Its exit code; any other one means that it could not look.
VIOLATIONS_FOUND = 1


def ledger_problems(processes: Processes, apis: Sequence[Server], orders_before: int) -> list[str]:
    """What is wrong, in words; empty when all is well."""
    answers = [scrape(api.base_url).answers for api in apis]
    answered = sum(each[path, 201] for each in answers for path in (CHECKOUT_PATH, GROUP_PATH))
    ordered = asyncio.run(count_orders(processes.settings.database_url)) - orders_before
    problems = []
    if ordered != answered:
        problems.append(f"{answered} orders were answered with 201, but {ordered} are in the ledger")
    processes.start_worker()
    return problems + audit_problems(processes.folder)


async def count_orders(database_url: str) -> int:
    """Of one shop, or parents: what a checkout has made."""
    connection = await asyncpg.connect(database_url)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM orders WHERE parent_id IS NULL"))
    finally:
        await connection.close()


def audit_problems(data_dir: Path) -> list[str]:
    """Again until it is clean: events are still on their way out."""
    command = [*PROGRAM, "audit", "--data-dir", str(data_dir)]
    deadline = time.monotonic() + AUDIT_LIMIT_S
    while True:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return []
        if done.returncode != VIOLATIONS_FOUND or time.monotonic() > deadline:
            return [f"the audit is not clean:\n{done.stdout}{done.stderr}"]
        time.sleep(AUDIT_EVERY_S)
