"""The readings that every process has: processor, memory, open files, event loop and log queue."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from prometheus_client.process_collector import ProcessCollector

from app import VERSION
from app.metrics.loop_lag import LoopLag
from app.metrics.readings import Reading, read_histogram
from app.processes.shared_clock import SharedClock
from config.logging import lines_dropped, lines_queued

_collector = ProcessCollector(namespace="tiketi", registry=None)


def process_readings(loop_lag: LoopLag, clock: SharedClock) -> Iterator[Reading]:
    """The readings of this process and its event loop."""
    yield Reading("tiketi_up", (), 1)
    yield Reading("tiketi_build_info", (VERSION, platform.python_version()), 1)
    yield read_histogram("tiketi_event_loop_late_seconds", loop_lag.late)
    yield Reading("tiketi_event_loop_worst_seconds", (), loop_lag.worst_s)
    yield Reading("tiketi_clock_off_seconds", (), clock.off_s)
    yield Reading("tiketi_log_lines_dropped", (), lines_dropped())
    yield Reading("tiketi_log_lines_queued", (), lines_queued())
    for metric in _collector.collect():
        for sample in metric.samples:
            yield Reading(sample.name.removesuffix("_total"), (), sample.value)
