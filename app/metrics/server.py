"""A port of a process's own for `/metrics` and `/healthz`, for where processes have no shared one: containers, workers.

Answered by a thread, so it can say that the event loop is stuck when the loop itself cannot say anything. Meant for a
network that only Prometheus and the container's health check can reach; with a token, only who sends it is told.
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

from app.metrics.exchange import FACTS_WAIT_S, Board
from app.metrics.loop_lag import Heart

CLOSE_S = 2.0

Start = Callable[[str, list[tuple[str, str]]], Any]


class Silent(WSGIRequestHandler):
    """Does not write a line per scrape to stderr."""

    timeout = 5.0  # a client that says nothing keeps no thread

    def log_message(self, format: str, *args: Any) -> None:  # the library's name
        return


class Port:
    """The WSGI application. Made in the event loop it is to watch."""

    def __init__(self, board: Board, heart: Heart, token: str) -> None:
        self._board = board
        self._heart = heart
        self._token = token
        self._loop = asyncio.get_running_loop()

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        match environ["PATH_INFO"]:
            case "/healthz":
                late_s = self._heart.late_s
                status, body = ("503 Service Unavailable", b"stuck\n") if self._heart.stuck else ("200 OK", b"ok\n")
                start(status, [("Content-Type", "text/plain"), ("X-Event-Loop-Late", f"{late_s:.3f}")])
                return [body]
            case "/metrics":
                given = environ.get("HTTP_AUTHORIZATION", "")
                if self._token and not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
                    start("401 Unauthorized", [("Content-Type", "text/plain"), ("WWW-Authenticate", "Bearer")])
                    return [b"Send the token of TIKETI_METRICS_TOKEN.\n"]
                start("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
                return [self._text()]
            case _:
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"/metrics or /healthz\n"]

    def _text(self) -> bytes:
        """With what the stores say, if the event loop still turns; without it otherwise."""
        asked = asyncio.run_coroutine_threadsafe(self._board.text(), self._loop)
        try:
            return asked.result(FACTS_WAIT_S + 1)
        except TimeoutError:
            asked.cancel()
            return self._board.text_with(self._board.own(), [])


@contextmanager
def listening(host: str, port: int, board: Board, heart: Heart, token: str) -> Iterator[None]:
    """Answer until the block ends. Port 0: not at all. Raises OSError if the port is taken."""
    if not port:
        yield
        return
    server = make_server(host, port, Port(board, heart, token), ThreadingWSGIServer, Silent)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(CLOSE_S)
