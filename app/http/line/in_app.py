"""Whether a page is open inside of another app, whose browser has cookies of its own and closes when the app does."""

from __future__ import annotations

import re

from app.http.kit.cookies import Headers, header

# of KakaoTalk, Naver, Instagram, Facebook, LINE, Daum, Band and TikTok
_IN_APP = re.compile(rb"KAKAOTALK|NAVER\(inapp|Instagram|FBAN|FBAV|\bLine/|DaumApps|BAND/|musical_ly|BytedanceWebview")


def is_in_app(headers: Headers) -> bool:
    """Whether the page is shown inside of another app."""
    return _IN_APP.search(header(headers, b"user-agent") or b"") is not None
