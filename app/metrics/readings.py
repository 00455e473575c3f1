"""Readings of metrics, and how they become Prometheus's text format.

A reading is a name of the catalogue, its label values, and a number or a histogram's bounds, counts and sum. It is
plain data, so that one process can hand it to another. The number of different `event_id` label values is limited here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from app.histogram import Histogram
from app.metrics.catalogue import CATALOGUE, Spec

EVENT_LABELS_MAX = 100
REST = "other"


class HistogramValue(NamedTuple):
    """A histogram's bounds, counts and sum."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


Value = float | HistogramValue


class Reading(NamedTuple):
    """One value of one metric."""

    name: str
    labels: tuple[str, ...]
    value: Value


def read_histogram(name: str, histogram: Histogram, *labels: str) -> Reading:
    """A reading of a histogram as it is now."""
    return Reading(name, labels, HistogramValue(histogram.bounds, tuple(histogram.counts), histogram.total))


def read_counts(name: str, counts: Mapping[tuple[str, ...], float]) -> Iterator[Reading]:
    """One reading per key; a copy first, because another thread may be counting."""
    for labels, value in list(counts.items()):
        yield Reading(name, labels, value)


class ScrapeCollector(Collector):
    """One scrape: the readings by process; those under `""` are shared by all."""

    def __init__(self, by_process: Mapping[str, Iterable[Reading]]) -> None:
        self._series: dict[str, dict[tuple[str, ...], Value]] = {}
        self._events: set[str] = set()
        for process, readings in by_process.items():
            for reading in readings:
                self._take(process, reading)

    def _take(self, process: str, reading: Reading) -> None:
        spec = CATALOGUE.get(reading.name)
        if spec is None or len(spec.labels) != len(reading.labels):
            return  # of a process of another version
        labels = tuple(self._bounded(name, value) for name, value in zip(spec.labels, reading.labels, strict=True))
        if not spec.shared:
            labels = (*labels, process)
        series = self._series.setdefault(reading.name, {})
        known = series.get(labels)
        series[labels] = reading.value if known is None else _sum(known, reading.value)

    def _bounded(self, label: str, value: str) -> str:
        if label != "event_id" or value in self._events:
            return value
        if len(self._events) >= EVENT_LABELS_MAX:
            return REST
        self._events.add(value)
        return value

    def collect(self) -> Iterator[Metric]:
        for name, spec in CATALOGUE.items():
            if name in self._series:
                yield _family(name, spec, self._series[name])


def text(by_process: Mapping[str, Iterable[Reading]]) -> bytes:
    """What Prometheus reads. CPU-heavy for a busy system: call it in a thread."""
    registry = CollectorRegistry()
    registry.register(ScrapeCollector(by_process))
    return generate_latest(registry)


def _family(name: str, spec: Spec, series: Mapping[tuple[str, ...], Value]) -> Metric:
    labels = spec.labels if spec.shared else (*spec.labels, "process")
    if spec.kind == "histogram":
        histogram = HistogramMetricFamily(name, spec.help, labels=labels)
        for values, value in series.items():
            if isinstance(value, HistogramValue):
                histogram.add_metric(values, _cumulative(value), value.total)
        return histogram
    family = (CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily)(name, spec.help, labels=labels)
    for values, value in series.items():
        if not isinstance(value, HistogramValue):
            family.add_metric(values, value)
    return family


def _cumulative(value: HistogramValue) -> list[tuple[str, float]]:
    below, buckets = 0, []
    for bound, count in zip((*value.bounds, float("inf")), value.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound == float("inf") else repr(float(bound)), float(below)))
    return buckets


def _sum(one: Value, other: Value) -> Value:
    if isinstance(one, HistogramValue) and isinstance(other, HistogramValue) and one.bounds == other.bounds:
        counts = tuple(a + b for a, b in zip(one.counts, other.counts, strict=True))
        return HistogramValue(one.bounds, counts, one.total + other.total)
    if isinstance(one, HistogramValue) or isinstance(other, HistogramValue):
        return other  # of another version: the later one counts
    return one + other
