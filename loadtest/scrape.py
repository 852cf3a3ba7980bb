"""What an API process says of itself on `/metrics`: its answers, and how many orders shared a commit.

Counts only rise; callers take differences. The server's counts decide what was answered, since a load
generator hangs up on its last requests.
"""

from __future__ import annotations

import time
from collections import Counter

import httpx
import msgspec
from prometheus_client.parser import text_string_to_metric_families

# After the load has ended, the last requests run to their end; nothing else asks this process.
QUIET_LIMIT_S = 10.0
QUIET_POLL_S = 0.1


# Of orders: placed, replayed, or why not.
OUTCOMES = ("rushcart_checkouts_total", "rushcart_group_orders_total")


class Counts(msgspec.Struct):
    """`answers` by (path, status), without `/metrics` itself; `outcomes` of orders by their name."""

    answers: Counter[tuple[str, int]]
    outcomes: Counter[str]
    commits: float = 0.0
    orders_committed: float = 0.0

    def since(self, before: Counts) -> Counts:
        return Counts(
            self.answers - before.answers,
            self.outcomes - before.outcomes,
            self.commits - before.commits,
            self.orders_committed - before.orders_committed,
        )


def scrape(base_url: str) -> Counts:
    """The process's counts now."""
    return counts_in(httpx.get(f"{base_url}/metrics", timeout=10.0, trust_env=False).raise_for_status().text)


def counts_in(text: str) -> Counts:
    """What such a page says."""
    counts = Counts(Counter(), Counter())
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if name == "rushcart_request_seconds_count" and labels["route"] != "/metrics":
                counts.answers[labels["route"], int(labels["status"])] = round(value)
            elif name in OUTCOMES:
                counts.outcomes[labels["outcome"]] += round(value)
            elif name == "rushcart_commit_batch_size_count":
                counts.commits = value
            elif name == "rushcart_commit_batch_size_sum":
                counts.orders_committed = value
    return counts


def scrape_when_quiet(base_url: str) -> Counts:
    """The same, once it no longer rises."""
    deadline = time.monotonic() + QUIET_LIMIT_S
    last, counts = None, scrape(base_url)
    while counts != last:
        if time.monotonic() > deadline:
            raise SystemExit(
                f"{base_url} still answers requests {QUIET_LIMIT_S:.0f} s after the load has ended"
            )
        time.sleep(QUIET_POLL_S)
        last, counts = counts, scrape(base_url)
    return counts
