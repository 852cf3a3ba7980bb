"""What the hot path counts comes out as Prometheus' own counters would show it."""

from prometheus_client import CollectorRegistry, Histogram, generate_latest

from app.lib.tally import Spreads, Tally

BOUNDS = (0.001, 0.5, 1.0)


def test_a_spread_reads_like_the_librarys_histogram() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    series = Spreads("took_seconds", "How long.", ["route"], BOUNDS, ours).labels("/x")
    histogram = Histogram("took_seconds", "How long.", ["route"], buckets=BOUNDS, registry=theirs).labels(
        "/x"
    )
    for seconds in (0.0005, 0.001, 0.25, 0.5, 1.0, 7.0):
        series.observe(seconds)
        histogram.observe(seconds)
    shown = generate_latest(theirs).decode().splitlines()
    assert generate_latest(ours).decode().splitlines() == [line for line in shown if "_created" not in line]


def test_a_series_is_the_same_each_time_it_is_asked_for() -> None:
    spreads = Spreads("took_seconds", "How long.", ["route"], BOUNDS, CollectorRegistry())
    assert spreads.labels("/x") is spreads.labels("/x")


def test_a_tally_counts_each_value_by_itself() -> None:
    registry = CollectorRegistry()
    tally = Tally("answers", "What was said.", "answer", registry)
    for answer in ("yes", "no", "yes"):
        tally.count(answer)
    assert registry.get_sample_value("answers_total", {"answer": "yes"}) == 2
    assert registry.get_sample_value("answers_total", {"answer": "no"}) == 1
