"""A request as rules see it, in one spelling, whoever received it.

The path is decoded once, as shops do. One that servers read in different ways (dot segments, a backslash, a semicolon,
an encoded slash, what is still encoded, a fragment or the sign of a query, at which some cut it off, two slashes before
all else, behind which some look for a host) is `is_ambiguous`: no rule can say where it leads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from urllib.parse import parse_qsl, unquote

VALUE_CHARS_MAX = 4_000  # of a path, a query, a header: what is longer is not looked at
PARAMETERS_MAX = 200
COOKIES_MAX = 200
ADDRESS_HEADERS = ("x-original-url", "x-rewrite-url")
METHOD_HEADERS = ("x-http-method-override", "x-http-method", "x-method-override")
METHOD_PARAMETER = "_method"

_SEVERAL_SLASHES = re.compile("//+")
_AMBIGUOUS = re.compile(r"[\\;%?#\x00-\x1f\x7f\ufffd]|/\.{1,2}(?:/|$)|^//")
_AMBIGUOUS_RAW = re.compile(r"%(?:2f|5c|25|3b)|#", re.IGNORECASE)
_END_OF_NAME = re.compile(r"[\[\x00]")

Headers = Iterable[tuple[bytes, bytes]]


class TooLong(Exception):
    """A part of the request is longer than anything that is looked at."""


class Asked:
    """`path` is decoded, `query` is not. `headers` have lower-case names, as in ASGI."""

    def __init__(
        self, method: str, host: str, path: str, query: str = "", headers: Headers = (), scheme: str = "https"
    ) -> None:
        self.method = method.upper()
        self.hosts = _hosts(host.lower())  # with the port, and without
        self.is_ambiguous = _AMBIGUOUS.search(path) is not None
        self.path = _SEVERAL_SLASHES.sub("/", path) if "//" in path else path
        self.query = query
        self.scheme = scheme
        self.is_too_long = len(path) > VALUE_CHARS_MAX or len(query) > VALUE_CHARS_MAX or len(host) > VALUE_CHARS_MAX
        self._raw_headers = headers

    @classmethod
    def at(cls, method: str, host: str, target: str, headers: Headers = (), scheme: str = "https") -> Asked:
        """Of a target as it stands in the request line: path and query, encoded."""
        raw, _, query = target.partition("?")
        asked = cls(method, host, unquote(raw), query, headers, scheme)
        asked.is_ambiguous |= is_ambiguous_target(raw)
        return asked

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.hosts[0]}{self.path}{'?' + self.query if self.query else ''}"

    @cached_property
    def parameters(self) -> dict[str, tuple[str, ...]]:
        """Of the query. Raises TooLong."""
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
        except ValueError:
            raise TooLong from None
        return _gathered(pairs)

    def is_unclear(self, name: str) -> bool:
        """Whether a server may read something else as this parameter than its only value: some take the first of
        several, some the last, and PHP takes `a`, ` a` and `a[]` for one. Raises TooLong."""
        alike = [each for each in self.parameters if _plain(each) == _plain(name)]
        return alike not in ([], [name]) or len(self.parameters.get(name, ())) > 1

    @property
    def says_another_address(self) -> bool:
        """Whether some servers read another address than that of the request, as IIS and its rewriters have it said."""
        return any(name in self.headers for name in ADDRESS_HEADERS)

    @property
    def says_another_method(self) -> bool:
        """Whether some servers read another method than that of the request, as forms and old proxies have it said.
        Raises TooLong."""
        if any(name in self.headers for name in METHOD_HEADERS):
            return True
        return any(_plain(name) == METHOD_PARAMETER for name in self.parameters)

    @cached_property
    def headers(self) -> dict[str, tuple[str, ...]]:
        return _gathered((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in self._raw_headers)

    @cached_property
    def cookies(self) -> dict[str, tuple[str, ...]]:
        """Raises TooLong."""
        lines = self.headers.get("cookie", ())
        parts = [part for line in lines for part in line.split(";")]
        if len(parts) > COOKIES_MAX:
            raise TooLong
        halves = (part.partition("=") for part in parts)
        return _gathered((name.strip(), value.strip().strip('"')) for name, _, value in halves)


def is_ambiguous_target(raw: str) -> bool:
    """Whether a path as in the request line has encoded what decoders and others read as different paths."""
    return _AMBIGUOUS_RAW.search(raw) is not None


def _plain(name: str) -> str:
    return _END_OF_NAME.split(name.lstrip(" "), maxsplit=1)[0].replace(".", "_").replace(" ", "_").lower()


def _hosts(host: str) -> tuple[str, ...]:
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        return (host.rstrip("."),)
    bare = name.rstrip(".")
    return f"{bare}:{port}", bare


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        found[name] = (*found.get(name, ()), value)
    return found
