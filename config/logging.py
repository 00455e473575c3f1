"""How every process writes its log: structlog, pretty on a terminal and JSON otherwise, to stderr.

A log call only puts a record in a bounded queue; a thread renders and writes it, so a slow terminal or
pipe never stalls the event loop. What does not fit is dropped, counted and reported. Call the function
that `configure` returns at the very end: it writes what is still queued.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import queue
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from config.settings import Settings

LINES_QUEUED_MAX = 10_000
DROPS_EVERY_S = 1.0
FLUSH_S = 2.0  # a pipe that nobody reads must not keep a process from ending
CHATTY = ("uvicorn", "arq", "asyncio", "aiosqlite", "alembic")  # their own lines repeat ours; warnings still pass


def configure(settings: Settings, process: str, stream: TextIO | None = None) -> Callable[[], None]:
    """Send structlog and stdlib loggers to `stream` (stderr), each line naming `process`. Returns flush-and-stop."""
    out = stream or sys.stderr
    pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and out.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    writer = logging.StreamHandler(out)
    writer.setFormatter(_formatter(process, pretty, out.isatty()))
    handler = _Enqueue(queue.Queue(LINES_QUEUED_MAX))
    listener = _Listener(handler, writer)
    listener.start()
    root = logging.getLogger()
    previous = root.handlers[:]
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(level if level <= logging.DEBUG else max(level, logging.WARNING))
    logging.captureWarnings(True)
    _configure_structlog(level)

    def stop() -> None:
        root.handlers[:] = previous
        logging.captureWarnings(False)
        listener.stop()

    return stop


@contextmanager
def logged(settings: Settings, process: str) -> Iterator[None]:
    """The life of a long-lived process: its last line says how it ended, and nothing it said before that is lost.

    A bug that ends it is a line like any other, with its trace, and exit code 1. Only kill -9 takes lines with it.
    """
    flush = configure(settings, process)
    log = structlog.get_logger()
    try:
        yield
        log.info("process_ended")
    except SystemExit as ending:
        log.info("process_ended", code=ending.code)
        raise
    except Exception:
        log.critical("process_crashed", exc_info=True)
        raise SystemExit(1) from None
    finally:
        flush()


def lines_dropped() -> int:
    """Lines that did not fit into this process's queue since it began."""
    return sum(handler.dropped for handler in logging.getLogger().handlers if isinstance(handler, _Enqueue))


def lines_queued() -> int:
    """Lines that wait to be written."""
    return sum(handler.queue.qsize() for handler in logging.getLogger().handlers if isinstance(handler, _Enqueue))


def _configure_structlog(level: int) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _exception_now,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *args: logging.getLogger(*args),
        cache_logger_on_first_use=True,
    )


def _formatter(process: str, pretty: bool, colors: bool) -> logging.Formatter:
    shown: list[Processor] = (
        [_printable, structlog.dev.ConsoleRenderer(colors=colors, timestamp_key="at")]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    )
    return structlog.stdlib.ProcessorFormatter(processors=[_facts(process, pretty), *shown])


def _facts(process: str, pretty: bool) -> Processor:
    """Put first when, how grave, which process and what, from the record: a line may be written later than it was said.

    In JSON what happened is `name`; a caller's fields cannot replace these four.
    """

    def with_facts(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
        record: logging.LogRecord = fields.pop("_record")
        del fields["_from_structlog"]
        said = datetime.fromtimestamp(record.created, UTC)
        facts = {
            "at": f"{said.astimezone():%H:%M:%S}" if pretty else said.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "process": process,
            "event" if pretty else "name": fields.pop("event"),
        }
        return {**facts, **fields, **facts}

    return with_facts


def _printable(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    """Show what a terminal would obey, as an escape sequence in a path that somebody asked for, and not send it."""
    return {name: _shown(value) if isinstance(value, str) else value for name, value in fields.items()}


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _exception_now(_: WrappedLogger, __: str, fields: EventDict) -> EventDict:
    """Take hold of the current exception here: in the writing thread there is none."""
    if fields.get("exc_info") is True:
        fields["exc_info"] = sys.exc_info()
    return fields


def _json(fields: Any, **_: Any) -> str:
    return json.dumps(fields, default=str, ensure_ascii=False, separators=(",", ":"))


def _dropped(count: int) -> logging.LogRecord:
    said: dict[str, Any] = {"event": "log_lines_dropped", "count": count}
    facts = {"levelname": "WARNING", "levelno": logging.WARNING, "_logger": None, "_name": "warning"}
    return logging.makeLogRecord({"name": "tiketi", "msg": said, **facts})


class _Enqueue(logging.handlers.QueueHandler):
    """Puts records in the queue as they are: same process, so nothing needs to be rendered first."""

    queue: queue.Queue[logging.LogRecord | None]
    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1  # under the handler's lock


class _Listener(logging.handlers.QueueListener):
    """Writes the records, and now and then how many are missing."""

    def __init__(self, source: _Enqueue, writer: logging.Handler) -> None:
        super().__init__(source.queue, writer)
        self._source = source
        self._reported = 0
        self._reported_at_s = 0.0

    def handle(self, record: logging.LogRecord) -> None:
        if record.created - self._reported_at_s >= DROPS_EVERY_S:
            self._report(record.created)
        super().handle(record)

    def _report(self, now_s: float) -> None:
        missing = self._source.dropped - self._reported
        if missing:
            super().handle(_dropped(missing))
            self._reported += missing
            self._reported_at_s = now_s

    def stop(self) -> None:
        thread, self._thread = self._thread, None
        if thread is None:
            return
        try:
            self._source.queue.put(None, timeout=FLUSH_S)
        except queue.Full:
            return  # nobody reads our output, so nothing more can be said
        thread.join(FLUSH_S)
        if not thread.is_alive():
            self._report(0.0)
