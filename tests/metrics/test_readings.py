"""Readings become Prometheus's text: counted right, told apart by process, and bounded."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from app.histogram import Histogram, HistogramsByKey
from app.metrics.catalogue import CATALOGUE, exposed
from app.metrics.readings import EVENT_LABELS_MAX, Reading, read_histogram, text


def samples(told: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(told.decode())
        for sample in family.samples
    }


def test_a_histogram_is_written_with_cumulative_counts() -> None:
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.add(value)
    told = samples(text({"worker-1": [read_histogram("tiketi_tick_seconds", histogram)]}))
    at = ("process", "worker-1")
    assert told["tiketi_tick_seconds_bucket", (("le", "0.1"), at)] == 2
    assert told["tiketi_tick_seconds_bucket", (("le", "1.0"), at)] == 3
    assert told["tiketi_tick_seconds_bucket", (("le", "+Inf"), at)] == 4
    assert told["tiketi_tick_seconds_count", (at,)] == 4
    assert told["tiketi_tick_seconds_sum", (at,)] == 7.65


def test_what_processes_count_is_told_apart_and_what_they_share_is_told_once() -> None:
    told = samples(
        text(
            {
                "web-1": [Reading("tiketi_polls", (), 3)],
                "web-2": [Reading("tiketi_polls", (), 4)],
                "": [Reading("tiketi_room_waiting", ("demo",), 5)],
            }
        )
    )
    assert told["tiketi_polls_total", (("process", "web-1"),)] == 3
    assert told["tiketi_polls_total", (("process", "web-2"),)] == 4
    assert told["tiketi_room_waiting", (("event_id", "demo"),)] == 5


def test_only_so_many_events_are_told_apart_and_none_is_lost() -> None:
    many = [Reading("tiketi_admitted", (f"event-{n}",), 1) for n in range(EVENT_LABELS_MAX + 7)]
    told = samples(text({"worker-1": many}))
    assert len(told) == EVENT_LABELS_MAX + 1
    assert told["tiketi_admitted_total", (("event_id", "other"), ("process", "worker-1"))] == 7


def test_what_a_process_of_another_version_tells_does_not_break_the_scrape() -> None:
    strange = [Reading("tiketi_of_tomorrow", (), 1), Reading("tiketi_polls", ("too", "many"), 1)]
    assert samples(text({"web-1": strange})) == {}


def test_keys_beyond_the_limit_share_one_histogram() -> None:
    histograms: HistogramsByKey[str] = HistogramsByKey((1.0,), 2, "rest")
    for key in ("a", "b", "c", "d", "a"):
        histograms.add(key, 0.5)
    assert {key: sum(histogram.counts) for key, histogram in histograms.by_key.items()} == {"a": 2, "b": 1, "rest": 2}


def test_every_metric_says_what_it_is_and_ends_with_its_unit() -> None:
    for name, spec in CATALOGUE.items():
        assert name.startswith("tiketi_")
        assert spec.help
        assert not name.endswith("_total")
        assert spec.kind != "histogram" or name.endswith(("_seconds", "_people", "_commands", "_ratio"))
        assert all(series.startswith(name) for series in exposed(name))
