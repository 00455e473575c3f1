"""What every process of ours tells of itself: processor, memory, files, its event loop, its log."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.process_collector import ProcessCollector

from app.metrics.loop_lag import Heart
from app.metrics.readings import Reading, read_spread
from config.logging import lines_dropped, lines_queued

_collector = ProcessCollector(namespace="tiketi", registry=None)


def process_readings(heart: Heart) -> Iterator[Reading]:
    yield Reading("tiketi_up", (), 1)
    yield read_spread("tiketi_event_loop_late_seconds", heart.late)
    yield Reading("tiketi_event_loop_worst_seconds", (), heart.worst_s)
    yield Reading("tiketi_log_lines_dropped", (), lines_dropped())
    yield Reading("tiketi_log_lines_queued", (), lines_queued())
    for metric in _collector.collect():
        for sample in metric.samples:
            yield Reading(sample.name.removesuffix("_total"), (), sample.value)
