"""The request that a proxy asks about, as its headers tell: what it was, and where the visitor wanted to go.

Believed only of a proxy that is trusted; of anybody else it is not known, and so is where they wanted to go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

HTTPS, HTTP = "https", "http"


class Original(NamedTuple):
    """`uri`: path and query, "" if it is not known; so is `host`. `https`: whether it came by it."""

    method: str = ""
    host: str = ""
    uri: str = ""
    https: bool = True

    def at(self, uri: str) -> str:
        """The address of this path and query at the host that was asked; "" if that is not known."""
        scheme = HTTPS if self.https else HTTP
        return f"{scheme}://{self.host}{uri}" if self.host and uri else ""


def original_of(fields: Mapping[bytes, bytes], method: str, behind: str, query: str) -> Original:
    """What a trusted proxy asks about, by its headers. `behind`: the path behind the address of the check, to which
    some proxies send the request as it is, with its method and query. Theirs is what is there; a header that says
    otherwise is the client's."""
    get = fields.get
    uri = get(b"x-forwarded-uri") or get(b"x-original-uri", b"")
    if behind not in ("", "/") or (behind and not uri):
        asked_for = f"{behind}?{query}" if query else behind
    else:
        asked_for = uri.decode("latin-1")
        told_method = get(b"x-forwarded-method") or get(b"x-original-method")
        method = told_method.decode("latin-1") if told_method else method
    return Original(
        method,
        (get(b"x-forwarded-host") or get(b"host", b"")).decode("latin-1"),
        asked_for if asked_for.startswith("/") else "",
        get(b"x-forwarded-proto") != b"http",
    )
