"""The request that a proxy asks about, as its headers tell: what it was, and where the visitor wanted to go.

Believed only of a proxy that is trusted; of anybody else it is not known, and so is where they wanted to go.
"""

from __future__ import annotations

from typing import NamedTuple

from app.http.kit.cookies import Headers

HTTPS, HTTP = "https", "http"
_WANTED = frozenset(
    (
        *(b"host", b"x-forwarded-method", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-uri"),
        *(b"x-original-uri", b"x-original-method"),
    )
)


class Original(NamedTuple):
    """`uri`: path and query, "" if it is not known; so is `host`. `https`: whether it came by it."""

    method: str = ""
    host: str = ""
    uri: str = ""
    https: bool = True

    @property
    def url(self) -> str:
        """ "" if it is not known."""
        scheme = HTTPS if self.https else HTTP
        return f"{scheme}://{self.host}{self.uri}" if self.host and self.uri else ""


def original_of(headers: Headers, method: str, behind: str, query: str) -> Original:
    """What a trusted proxy asks about. `behind`: the path behind the address of the check, to which some proxies send
    the request as it is, with its method and query. Theirs is what is there; a header that says otherwise is the
    client's."""
    said = {name: value.decode("latin-1") for name, value in headers if name in _WANTED}
    uri = said.get(b"x-forwarded-uri") or said.get(b"x-original-uri", "")
    told_method = said.get(b"x-forwarded-method") or said.get(b"x-original-method") or method
    if behind not in ("", "/") or (behind and not uri):
        uri, told_method = f"{behind}?{query}" if query else behind, method
    return Original(
        told_method,
        said.get(b"x-forwarded-host") or said.get(b"host", ""),
        uri if uri.startswith("/") else "",
        said.get(b"x-forwarded-proto", HTTPS) != HTTP,
    )
