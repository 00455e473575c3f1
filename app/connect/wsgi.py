"""A room before a WSGI application: Flask, Django, Bottle, Pyramid, …

    app.wsgi_app = WaitingRoom(app.wsgi_app, tiketi="https://tickets.example", room="sale")

The application finds whose visit a request is in `environ["tiketi"]` (a Visit, or None) and in `X-Tiketi-*` headers.
With the response header `Tiketi-Visit: end` it ends the visit. Arguments are those of Gate.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from app.connect.answers import Answer
from app.connect.asked import Asked, is_ambiguous_target
from app.connect.gate import END_HEADER, OURS, Arrival, Gate
from app.connect.keys import Renewal
from app.connect.passes import Visit

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

OURS_IN_ENVIRON = "HTTP_" + OURS.upper().replace("-", "_")


class WaitingRoom:
    def __init__(self, app: App, **settings: Any) -> None:
        self._app = app
        self.gate = Gate(**settings)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        arrival = arrival_of(environ)
        self._renew(self.gate.renewal(arrival))
        decided = self.gate.decide(arrival)
        if isinstance(decided, Answer):
            if decided.ended is not None:
                self.gate.visits.end(decided.ended)
            start_response(decided.line, decided.headers)
            return [b"" if environ["REQUEST_METHOD"] == "HEAD" else decided.body]
        onward = {name: value for name, value in environ.items() if not name.startswith(OURS_IN_ENVIRON)}
        onward |= {"HTTP_" + name.upper().replace("-", "_"): value for name, value in decided.headers()}
        onward["tiketi"] = decided.visit
        if decided.visit is None:
            return self._app(onward, start_response)
        return _Visited(self.gate, decided.visit, arrival.scheme).answer(self._app, onward, start_response)

    def _renew(self, renewal: Renewal) -> None:
        if renewal is Renewal.now:
            self.gate.keys.renew()
        elif renewal is Renewal.beside:
            threading.Thread(target=self.gate.keys.renew, name="tiketi keys", daemon=True).start()


class _Visited:
    """A response to a visitor: when it is sent, and it said so, the visit has ended."""

    def __init__(self, gate: Gate, visit: Visit, scheme: str) -> None:
        self._gate = gate
        self._visit = visit
        self._scheme = scheme
        self._has_ended = False
        self._body: Iterable[bytes] = ()

    def answer(self, app: App, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def watched(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            if any(name.lower() == END_HEADER and value.strip().lower() == "end" for name, value in headers):
                self._has_ended = True
                self._gate.passes.end(self._visit)
                headers = [pair for pair in headers if pair[0].lower() != END_HEADER]
                headers.append(("Set-Cookie", self._gate.forgotten(self._scheme)))
            return start_response(status, headers, *error)

        self._body = app(environ, watched)
        return self

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """The server calls it when all is sent."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            if self._has_ended:
                self._gate.visits.end(self._visit)


def arrival_of(environ: Environ) -> Arrival:
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    decoded = path.encode("latin-1").decode("utf-8", "replace")  # WSGI gives bytes as latin-1
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI") or quote(path, encoding="latin-1")
    target = raw.partition("?")[0] if raw.startswith("/") else quote(path, encoding="latin-1")
    query, scheme = environ.get("QUERY_STRING", ""), environ["wsgi.url_scheme"]
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    asked = Asked(environ["REQUEST_METHOD"], host, decoded, query, list(_headers(environ)), scheme)
    asked.is_ambiguous |= is_ambiguous_target(target)
    return Arrival(asked, scheme, host, f"{target}?{query}" if query else target)


def _headers(environ: Environ) -> Iterator[tuple[bytes, bytes]]:
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            yield name[5:].lower().replace("_", "-").encode("latin-1"), str(value).encode("latin-1")
