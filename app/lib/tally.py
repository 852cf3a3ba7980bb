"""Counts for the hottest calls: an addition each; Prometheus reads them when it asks.

The client library's counters take a lock, and its histograms walk through the buckets, for each number; these
belong to the one thread of the event loop and cost a tenth (docs/performance.md).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector


class Tally(Collector):
    """A counter with one label."""

    def __init__(self, name: str, what: str, label: str, registry: CollectorRegistry) -> None:
        self._name, self._what, self._label = name, what, label
        self._counts: dict[str, int] = {}
        registry.register(self)

    def count(self, value: str, many: int = 1) -> None:
        """So many more with this value of the label."""
        self._counts[value] = self._counts.get(value, 0) + many

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._what, labels=[self._label])
        for value, count in list(self._counts.items()):
            family.add_metric([value], count)
        yield family


class Spread:
    """One series of `Spreads`: how many numbers fell into each bucket, and their sum."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, number: float) -> None:
        """A number equal to a bound belongs below it, as Prometheus has it."""
        self.counts[bisect_left(self._bounds, number)] += 1
        self.total += number


class Spreads(Collector):
    """A histogram with labels; `buckets` are the upper bounds, rising."""

    def __init__(
        self,
        name: str,
        what: str,
        labels: Sequence[str],
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._what, self._labels = name, what, labels
        self._bounds = buckets
        self._series: dict[tuple[str, ...], Spread] = {}
        registry.register(self)

    def labels(self, *values: str) -> Spread:
        """The series of these labels: keep it, looking it up costs more than counting."""
        return self._series.setdefault(values, Spread(self._bounds))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._what, labels=self._labels)
        bounds = [*map(str, map(float, self._bounds)), "+Inf"]
        for values, series in list(self._series.items()):
            cumulative = zip(bounds, accumulate(series.counts), strict=True)
            family.add_metric(values, list(cumulative), series.total)
        yield family
