"""Cookies in a page of ours that a page of another site has in a frame.

A browser keeps and sends there only those that say so: `SameSite=None; Secure; Partitioned`, which stay with the site
around the frame. They are told apart by one more cookie of that kind, so that whatever a framed page asks for is
answered alike, and a page in a window of its own has ordinary ones.
"""

from __future__ import annotations

from app.http.kit.cookies import COOKIE_LIFE_S, Headers, cookie, header, set_cookie

MARK = b"tiketi_framed"
AROUND = b"/wait/"  # the pages that may be in a frame at all
_ORDINARY = b"; SameSite=Lax"
_IN_FRAME = b"; SameSite=None; Partitioned"
_SECURE = b"; Secure"


def is_framed(path: str, headers: Headers) -> bool:
    """Whether this is asked for in a frame of another site, as the browser says now or was noted before."""
    if cookie(headers, MARK) is not None:
        return True
    is_frame = header(headers, b"sec-fetch-dest") == b"iframe" and header(headers, b"sec-fetch-site") == b"cross-site"
    return is_frame and path.encode().startswith(AROUND)


def for_frame(headers: list[tuple[bytes, bytes]], *, secure: bool) -> list[tuple[bytes, bytes]]:
    """The headers of an answer with its cookies as a frame keeps them, and the mark."""
    mark = set_cookie(MARK, "1", life_s=COOKIE_LIFE_S, secure=secure)
    return [(name, _kept(value) if name == b"set-cookie" else value) for name, value in [*headers, mark]]


def _kept(value: bytes) -> bytes:
    kept = value.replace(_ORDINARY, _IN_FRAME)
    return kept if _SECURE in kept else kept + _SECURE
