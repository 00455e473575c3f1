"""That a request which changes something comes from a page of ours, and not from another site in the same browser.

Two guards, since each has a hole the other closes. Every unsafe request is refused when the browser itself says that it
comes from elsewhere (Sec-Fetch-Site, or Origin against Host): this also covers requests that need no cookie, such as a
join, whose answer would replace the cookies of a victim. Old browsers say neither, and Sec-Fetch-Site is not sent over
plain http. So each form carries a token as well: a MAC over a cookie of this browser and its session, which another
site can neither read nor make; SameSite=Lax would not keep other names of our own site from sending our cookies. A
request that proves itself by a header (a Bearer token, a ticket) is not refused: no site can make a browser send those.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest
from operator import xor
from typing import Any
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.requests import Request

from app.http.kit.cookies import COOKIE_LIFE_S, SESSION_COOKIE, Headers, cookie, set_cookie
from app.http.kit.problems import Problem

COOKIE = b"tiketi_form"
COOKIE_BYTES = 16
COOKIE_CHARS_MAX = 64
TOKEN_BYTES = 16
MARK_BYTES = 8
FIELD = "csrf"
OURS = (b"same-origin", b"none")  # none: typed into the address bar, or a bookmark
_DRAWN = "tiketi.form_cookie"  # where a cookie made for this answer waits in the scope


class Csrf:
    """Makes tokens with the newest of the keys that sign tickets, and checks with any of them."""

    def __init__(self, keys: Mapping[int, bytes], kid: int) -> None:
        self._keys = [keys[kid], *(key for name, key in keys.items() if name != kid)]

    def learn(self, keys: Mapping[int, bytes]) -> None:
        """Check with these, and with the one that signs here, from now on."""
        self._keys = [self._keys[0], *(key for key in keys.values() if key != self._keys[0])]

    def token(self, browser: bytes, session: bytes) -> str:
        """Another one each time, of the same MAC: the length of a packed page would else give it away (BREACH)."""
        return _masked(_mac(self._keys[0], browser, session), secrets.token_bytes(TOKEN_BYTES))

    def is_good(self, token: str, browser: bytes, session: bytes) -> bool:
        shown = _unmasked(token)
        return any(compare_digest(_mac(key, browser, session), shown) for key in self._keys)


def _mac(key: bytes, browser: bytes, session: bytes) -> bytes:
    return blake2b(browser + b"\0" + session, key=key, digest_size=TOKEN_BYTES, person=b"tiketi form").digest()


def _masked(mac: bytes, pad: bytes) -> str:
    return urlsafe_b64encode(pad + bytes(map(xor, mac, pad))).rstrip(b"=").decode()


def _unmasked(token: str) -> bytes:
    """The MAC in it; nothing if there can be none."""
    try:
        both = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return b""
    pad, hidden = both[:TOKEN_BYTES], both[TOKEN_BYTES:]
    return bytes(map(xor, hidden, pad)) if len(hidden) == TOKEN_BYTES else b""


def csrf_of(request: Request[Any]) -> str:
    """The token for this answer's forms. A browser without our cookie gets one: see `form_cookies`."""
    headers = request.scope["headers"]
    browser = _browser(headers) or request.scope.get(_DRAWN)
    if browser is None:
        browser = request.scope[_DRAWN] = secrets.token_urlsafe(COOKIE_BYTES).encode()
    token: str = request.state["csrf"].token(browser, cookie(headers, SESSION_COOKIE) or b"")
    return token


def csrf_field(request: Request[Any]) -> Markup:
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, csrf_of(request))


def forms_for(request: Request[Any]) -> str:
    """Names the browser and session that this answer's forms are good for, and opens nothing: open pages compare it to
    know that a log-in in another tab has made theirs stale. Empty if there is neither."""
    headers = request.scope["headers"]
    browser, session = _browser(headers) or request.scope.get(_DRAWN) or b"", cookie(headers, SESSION_COOKIE) or b""
    named = blake2b(browser + b"\0" + session, digest_size=MARK_BYTES, person=b"tiketi tabs")
    return named.hexdigest() if browser or session else ""


def form_cookies(request: Request[Any]) -> list[tuple[bytes, bytes]]:
    """What an answer whose forms carry a token must set."""
    drawn = request.scope.get(_DRAWN)
    if drawn is None:
        return []
    secure = request.state["settings"].secure_cookies
    return [set_cookie(COOKIE, drawn.decode(), life_s=COOKIE_LIFE_S, secure=secure)]


def check_csrf(request: Request[Any], token: str) -> None:
    """Raises Problem 403 if the form was not made for this browser and session, or the browser keeps no cookies."""
    headers = request.scope["headers"]
    if all(name != b"cookie" for name, _ in headers):
        raise Problem("cookies_needed")
    browser = _browser(headers)
    session = cookie(headers, SESSION_COOKIE) or b""
    if browser is None or not request.state["csrf"].is_good(token, browser, session):
        raise Problem("form_stale")


def _browser(headers: Headers) -> bytes | None:
    found = cookie(headers, COOKIE)
    return found if found and len(found) <= COOKIE_CHARS_MAX else None


def refuse_foreign(headers: Headers, public_url: str) -> None:
    """Raises Problem 403 for a request that a page of another site made the browser send."""
    if is_foreign(headers, public_url) and not any(_is_proof(name, value) for name, value in headers):
        raise Problem("cross_site")


def _is_proof(name: bytes, value: bytes) -> bool:
    """A browser adds `Authorization: Basic` by itself, for an address with a name and password in it."""
    return name == b"x-queue-ticket" or (name == b"authorization" and value[:7].lower() == b"bearer ")


def is_foreign(headers: Headers, public_url: str) -> bool:
    """Whether the browser says so. A program says nothing, and is not."""
    host = origin = b""
    for name, value in headers:
        if name == b"sec-fetch-site" and value not in OURS:
            return True
        if name == b"host":
            host = value
        elif name == b"origin":
            origin = value
    if not origin:
        return False
    netloc = origin.partition(b"://")[2]
    return not netloc or netloc not in (host, _netloc(public_url))


@lru_cache(maxsize=8)
def _netloc(url: str) -> bytes:
    return urlsplit(url).netloc.encode()
