"""Serves `/metrics` and `/healthz` on a port of one process: for workers, and for containers.

A thread answers, so it can report that the event loop is blocked. Meant for a network that only Prometheus and the
container's health check can reach; with a token set, `/metrics` answers only requests that send it.
"""

from __future__ import annotations

import asyncio
import hmac
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.exposition import ThreadingWSGIServer

from app.limits.hosts import is_ours
from app.metrics.exchange import SHARED_WAIT_S, MetricsExchange
from app.metrics.loop_lag import LoopLag

CLOSE_S = 2.0

Start = Callable[[str, list[tuple[str, str]]], Any]


class QuietHandler(WSGIRequestHandler):
    """Does not write a line per scrape to stderr."""

    timeout = 5.0  # a client that says nothing keeps no thread

    def log_message(self, format: str, *args: Any) -> None:  # the library's name
        return


class MetricsServer:
    """The WSGI application. Made in the event loop it is to watch."""

    def __init__(self, exchange: MetricsExchange, loop_lag: LoopLag, token: str) -> None:
        self._exchange = exchange
        self._loop_lag = loop_lag
        self._token = token
        self._loop = asyncio.get_running_loop()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/healthz":
                late_s = self._loop_lag.late_s
                status, body = ("503 Service Unavailable", b"stuck\n") if self._loop_lag.stuck else ("200 OK", b"ok\n")
                start(status, [("Content-Type", "text/plain"), ("X-Event-Loop-Late", f"{late_s:.3f}")])
                return [body]
            case "/metrics":
                given = environ.get("HTTP_AUTHORIZATION", "")
                if self._token and not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                    start("401 Unauthorized", [("Content-Type", "text/plain"), ("WWW-Authenticate", "Bearer")])
                    return [b"Send the token of TIKETI_METRICS_TOKEN.\n"]
                if not self._token and not is_ours(environ.get("HTTP_HOST", "localhost"), ""):
                    start("421 Misdirected Request", [("Content-Type", "text/plain")])
                    return [b"Ask by this machine's address, or set TIKETI_METRICS_TOKEN and send it.\n"]
                start("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
                return [self._text()]
            case _:
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"/metrics or /healthz\n"]

    def _text(self) -> bytes:
        """With what the stores say, if the event loop still turns; without it otherwise."""
        asked = asyncio.run_coroutine_threadsafe(self._exchange.text(), self._loop)
        try:
            return asked.result(SHARED_WAIT_S + 1)
        except TimeoutError:
            asked.cancel()
            return self._exchange.text_with(self._exchange.own(), [])


@contextmanager
def serving(host: str, port: int, exchange: MetricsExchange, loop_lag: LoopLag, token: str) -> Iterator[None]:
    """Answer until the block ends. MetricsServer 0: not at all. Raises OSError if the port is taken."""
    if not port:
        yield
        return
    server = make_server(host, port, MetricsServer(exchange, loop_lag, token), ThreadingWSGIServer, QuietHandler)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(CLOSE_S)
