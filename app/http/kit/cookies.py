"""Reads a header or a cookie from the raw headers of a request, and makes the header that sets a cookie.

Works on ASGI's list of byte pairs, because that is all the hot endpoints have, and copies only the value asked for.
What each cookie means is defined where it is used (app/http/accounts/credentials.py).

Behind HTTPS every cookie of ours has the prefix `__Host-` (RFC 6265bis): no other name of our domain, and nobody
without TLS, can set one. Only here that is known: `set_cookie` writes the prefix, `own_cookies` takes it off.
"""

from __future__ import annotations

from collections.abc import Iterable

Headers = Iterable[tuple[bytes, bytes]]
SESSION_COOKIE = b"tiketi_session"  # here because the token of a form is bound to whatever it holds
COOKIE_LIFE_S = 7 * 86_400
HOST_PREFIX = b"__Host-"
OURS = b"tiketi_"  # how the name of every cookie of ours begins


def own_cookies(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The headers of a request that came by HTTPS, with our cookies under their names. One of such a name without the
    prefix was set by somebody else and is left out.
    """
    return [(key, _own(value) if key == b"cookie" and OURS in value else value) for key, value in headers]


def _own(pairs: bytes) -> bytes:
    kept = [pair for pair in pairs.split(b"; ") if not pair.startswith(OURS)]
    return b"; ".join([pair.removeprefix(HOST_PREFIX) if pair.startswith(_PREFIXED) else pair for pair in kept])


_PREFIXED = HOST_PREFIX + OURS


def header(headers: Headers, name: bytes) -> bytes | None:
    """The value of a header, whose name is in small letters as ASGI has them; None where it was not sent."""
    return next((value for key, value in headers if key == name), None)


def block(headers: Headers) -> bytes:
    """The headers as they are sent, in lines."""
    return b"".join([b"%s: %s\r\n" % header for header in headers])


def cookie(headers: Headers, name: bytes) -> bytes | None:
    """The value of a cookie, without copying the ones around it; None where it was not sent."""
    wanted = name + b"="
    for key, value in headers:
        if key == b"cookie":
            found = cookie_in(value, wanted)
            if found is not None:
                return found
    return None


def cookie_in(pairs: bytes, wanted: bytes) -> bytes | None:
    """From the value of a Cookie header: what stands after `wanted` (a name and `=`) where a pair begins."""
    start = 0 if pairs.startswith(wanted) else pairs.find(b"; " + wanted) + 2
    if start == 1:
        return None
    start += len(wanted)
    end = pairs.find(b";", start)
    return pairs[start:] if end < 0 else pairs[start:end]


def cookie_names(headers: Headers) -> list[bytes]:
    """The names of all cookies that were sent, each once."""
    pairs = [pair for key, value in headers if key == b"cookie" for pair in value.split(b"; ")]
    return list(dict.fromkeys(pair.partition(b"=")[0] for pair in pairs))


def set_cookie(name: bytes, value: str, *, life_s: int, secure: bool) -> tuple[bytes, bytes]:
    """The header that makes a browser keep a cookie for so long; with `life_s` 0, forget it. `secure`: behind HTTPS."""
    prefix, flags = (HOST_PREFIX, b"; Secure") if secure else (b"", b"")
    return (
        b"set-cookie",
        prefix + b"%s=%s; Max-Age=%d; Path=/; HttpOnly; SameSite=Lax%s" % (name, value.encode(), life_s, flags),
    )
