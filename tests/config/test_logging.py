"""The log: one line per call in the right form, nothing lost at shutdown, and never a wait for a slow reader."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

import config.logging
from config.logging import configure
from config.settings import Settings

JSON = Settings(log_format="json")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class SlowReader(io.StringIO):
    """A pipe whose reader sleeps until `awake` is set; `asked` is set when someone first waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.awake = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.asked.set()
        self.awake.wait()
        return super().write(text)


def written(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_its_time_level_process_name_and_fields() -> None:
    out = io.StringIO()
    stop = configure(JSON, "web-1", out)
    structlog.get_logger().info("tick", admitted=5)
    stop()
    (line,) = written(out)
    assert line.pop("at").endswith("+00:00")
    assert line == {"level": "info", "process": "web-1", "name": "tick", "admitted": 5}


def test_on_request_lines_are_for_people() -> None:
    out = io.StringIO()
    stop = configure(Settings(log_format="pretty"), "web-1", out)
    structlog.get_logger().info("tick", admitted=5)
    stop()
    assert "tick" in out.getvalue()
    assert "admitted=5" in out.getvalue()


@pytest.mark.parametrize("orders", ["\x1b[2J", "\x9b1m", "\u202e", "\x7f", "\nforged line"])
def test_no_field_can_give_orders_to_the_terminal(orders: str) -> None:
    out = io.StringIO()
    stop = configure(Settings(log_format="pretty"), "web-1", out)
    structlog.get_logger().info("request", path=f"/공연{orders}", reason="two words")
    stop()
    (line,) = out.getvalue().splitlines()
    assert line.isprintable()
    assert "/공연\\" in line
    assert "two words" in line


def test_what_the_libraries_log_takes_the_same_way() -> None:
    out = io.StringIO()
    stop = configure(JSON, "worker-1", out)
    logging.getLogger("sqlalchemy.pool").warning("pool of %d is full", 5)
    stop()
    (line,) = written(out)
    assert (line["name"], line["level"], line["process"]) == ("pool of 5 is full", "warning", "worker-1")


def test_libraries_that_repeat_us_are_heard_only_when_it_matters() -> None:
    out = io.StringIO()
    stop = configure(JSON, "worker-1", out)
    logging.getLogger("arq.worker").info("job done")
    logging.getLogger("arq.worker").warning("job lost")
    stop()
    assert [line["name"] for line in written(out)] == ["job lost"]


def test_an_exception_is_written_with_its_trace() -> None:
    out = io.StringIO()
    stop = configure(JSON, "web-1", out)
    try:
        raise ValueError("odd")
    except ValueError:
        structlog.get_logger().exception("tick_failed")
    stop()
    (line,) = written(out)
    assert line["exception"].startswith("Traceback")
    assert "ValueError: odd" in line["exception"]


def test_lines_below_the_level_are_not_written() -> None:
    out = io.StringIO()
    stop = configure(Settings(log_format="json", log_level="warning"), "web-1", out)
    structlog.get_logger().info("tick")
    structlog.get_logger().warning("late")
    stop()
    assert [line["name"] for line in written(out)] == ["late"]


def test_everything_said_before_the_stop_is_written_in_order() -> None:
    out = SlowReader()
    stop = configure(JSON, "web-1", out)
    for number in range(1000):
        structlog.get_logger().info("line", number=number)
    out.awake.set()
    stop()
    assert [line["number"] for line in written(out)] == list(range(1000))


def test_a_slow_reader_costs_lines_which_are_counted_and_never_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.logging, "LINES_QUEUED_MAX", 10)
    out = SlowReader()
    stop = configure(JSON, "web-1", out)
    log = structlog.get_logger()
    log.info("first")
    assert out.asked.wait(10)  # the writing thread is stuck in the first line, the queue is empty
    for number in range(25):
        log.info("line", number=number)  # would hang here if it waited for the reader
    out.awake.set()
    stop()
    lines = written(out)
    assert [line["number"] for line in lines if line["name"] == "line"] == list(range(10))
    assert [line["count"] for line in lines if line["name"] == "log_lines_dropped"] == [15]


def run_logged(ending: str) -> tuple[int, list[dict[str, Any]]]:
    """A process that says a thousand lines and then ends in some way: its exit code and its lines."""
    program = f"""
import structlog
from config.logging import logged
from config.settings import Settings
with logged(Settings(log_format="json"), "web-1"):
    for number in range(1000):
        structlog.get_logger().info("line", number=number)
    {ending}
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    said = done.stderr.splitlines()
    return done.returncode, [json.loads(line) for line in said]


@pytest.mark.parametrize(
    ("ending", "code", "last"),
    [
        ("pass", 0, "process_ended"),
        ("raise SystemExit(3)", 3, "process_ended"),
        ("raise ValueError('odd')", 1, "process_crashed"),
    ],
)
def test_however_a_process_ends_no_line_is_lost_and_the_last_says_how(ending: str, code: int, last: str) -> None:
    returned, lines = run_logged(ending)
    assert returned == code
    assert [line["number"] for line in lines if line["name"] == "line"] == list(range(1000))
    assert lines[-1]["name"] == last
    assert ("ValueError: odd" in lines[-1].get("exception", "")) is (last == "process_crashed")


def test_a_reader_that_never_reads_does_not_keep_the_process_from_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.logging, "LINES_QUEUED_MAX", 1)
    monkeypatch.setattr(config.logging, "FLUSH_S", 0.01)
    out = SlowReader()
    stop = configure(JSON, "web-1", out)
    for _ in range(5):
        structlog.get_logger().info("line")
    stop()  # would hang here
    out.awake.set()
