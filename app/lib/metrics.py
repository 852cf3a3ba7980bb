"""What an operator sees on `/metrics`. One registry a process; names end in their unit."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from app.lib.tally import Spreads, Tally

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

# From a sold-out refusal (below a millisecond) to a request that waited out a statement timeout.
LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUEST_SECONDS = Spreads(
    "rushcart_request_seconds",
    "Time to answer a request, by route and status.",
    ["route", "status"],
    LATENCY_BUCKETS_S,
    REGISTRY,
)
BATCH_SIZE = Histogram(
    "rushcart_commit_batch_size",
    "Orders that shared one transaction.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
    registry=REGISTRY,
)
COMMIT_SECONDS = Histogram(
    "rushcart_commit_seconds",
    "Time of one batch's transaction, retries included.",
    buckets=LATENCY_BUCKETS_S,
    registry=REGISTRY,
)
BACKLOG = Gauge("rushcart_commit_backlog", "Orders that wait for a batch now.", registry=REGISTRY)
COMMIT_RETRIES = Counter("rushcart_commit_retries", "Batches that were tried again.", registry=REGISTRY)
CHECKOUTS = Tally(
    "rushcart_checkouts", "Checkouts by outcome (placed, replayed or a problem's code).", "outcome", REGISTRY
)
QUOTES = Tally(
    "rushcart_quotes",
    "Quotes by what became of them: kept, not_kept, honoured, or what was presented was lost or expired.",
    "outcome",
    REGISTRY,
)
COUPON_CLAIMS = Tally(
    "rushcart_coupon_claims",
    "Coupons claimed by outcome (given, replayed or a problem's code).",
    "outcome",
    REGISTRY,
)
GROUP_ORDERS = Tally(
    "rushcart_group_orders",
    "Group orders by outcome (placed, replayed or a problem's code).",
    "outcome",
    REGISTRY,
)
GATE = Tally("rushcart_gate", "What the gate answered.", "answer", REGISTRY)
GATE_DRIFT = Gauge(
    "rushcart_gate_drift", "Units by which gate and ledger differed at the last check.", registry=REGISTRY
)
SLOT_GATE_DRIFT = Gauge(
    "rushcart_slot_gate_drift",
    "Facts of groups in which gate and ledger differed at the last check.",
    registry=REGISTRY,
)
GATE_FAILURES = Counter("rushcart_gate_failures", "Calls that Valkey did not answer.", registry=REGISTRY)
OUTBOX_LAG_SECONDS = Gauge(
    "rushcart_outbox_lag_seconds", "Age of the oldest event that is not exported.", registry=REGISTRY
)
GROUP_WATCHERS = Gauge("rushcart_group_watchers", "Clients that watch a group now.", registry=REGISTRY)
SWEPT = Counter("rushcart_swept", "Rows that a sweep has settled.", ["sweep"], registry=REGISTRY)
SWEEP_FAILURES = Counter(
    "rushcart_sweep_failures", "Sweeps that ended with an error.", ["sweep"], registry=REGISTRY
)
REFRESH_FAILURES = Counter(
    "rushcart_refresh_failures",
    "Times that what is kept in memory could not be refreshed.",
    ["what"],
    registry=REGISTRY,
)
JOBS = Counter("rushcart_jobs", "Jobs by name and outcome.", ["job", "outcome"], registry=REGISTRY)
INBOUND_EVENTS = Counter(
    "rushcart_inbound_events",
    "Events taken in, by type and what became of them.",
    ["type", "status"],
    registry=REGISTRY,
)
