"""What visitors without a pass are answered: a redirect for pages, an error with a code for scripts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from http import HTTPStatus

from app.connect.passes import Visit

RETRY_S = 5
JSON = "application/problem+json"

# code → status, and for people: title and sentence in English and Korean
SAID: dict[str, tuple[int, str, str, str, str]] = {
    "pass_missing": (
        *(401, "Please wait for your turn", "A waiting room stands before this site. Wait for your turn there."),
        *("차례를 기다려 주세요", "이 사이트 앞에는 대기실이 있습니다. 대기실에서 차례를 기다려 주세요."),
    ),
    "pass_expired": (
        *(401, "Your visit is over", "Your time here is over. Wait for another turn in the waiting room."),
        *("이용 시간이 끝났습니다", "이용 시간이 끝났습니다. 대기실에서 다시 차례를 기다려 주세요."),
    ),
    "pass_revoked": (
        *(401, "Your visit is over", "This visit was ended. Wait for another turn in the waiting room."),
        *("이용이 종료되었습니다", "이번 이용은 종료되었습니다. 대기실에서 다시 차례를 기다려 주세요."),
    ),
    "pass_foreign": (
        *(401, "Please wait for your turn", "This pass does not open this site. Wait for your turn."),
        *("차례를 기다려 주세요", "이 입장권으로는 들어갈 수 없습니다. 대기실에서 차례를 기다려 주세요."),
    ),
    "request_refused": (
        *(403, "Not here", "This site does not answer such requests."),
        *("허용되지 않는 요청", "이 사이트는 이런 요청에 응답하지 않습니다."),
    ),
    "headers_too_many": (
        *(431, "Too much at once", "The request has too many headers."),
        *("요청이 너무 큽니다", "요청의 헤더가 너무 많습니다."),
    ),
    "body_too_long": (
        *(413, "Too much at once", "What was sent is too long."),
        *("요청이 너무 큽니다", "보낸 내용이 너무 깁니다."),
    ),
    "site_away": (
        *(502, "One moment", "The site cannot be reached. Please try again in a moment."),
        *("잠시만 기다려 주세요", "사이트에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요."),
    ),
    "site_slow": (
        *(504, "One moment", "The site takes too long to answer. Please try again in a moment."),
        *("잠시만 기다려 주세요", "사이트의 응답이 너무 늦습니다. 잠시 후 다시 시도해 주세요."),
    ),
    "waiting_room_away": (
        *(503, "One moment", "The waiting room cannot be reached. Please try again in a moment."),
        *("잠시만 기다려 주세요", "대기실에 연결할 수 없습니다. 잠시 후 다시 시도해 주세요."),
    ),
}

PAGE = """<!doctype html><html lang="{lang}"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>body{{font:18px/1.6 system-ui,sans-serif;max-width:32rem;margin:20vh auto;padding:0 1.5rem}}</style>
<h1>{title}</h1><p>{text}</p></html>"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response of ours. `ended`: whose visit has ended with it, which Tiketi is to be told."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    ended: Visit | None = None

    @property
    def line(self) -> str:
        """As WSGI wants it."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def redirect(url: str, *cookies: str) -> Answer:
    headers = [
        ("Location", url),
        ("Cache-Control", "no-store"),
        ("Content-Type", "text/plain"),
        ("Content-Length", "0"),
    ]
    return Answer(302, [*headers, *(("Set-Cookie", line) for line in cookies)])


def problem(code: str, room: str, wait_url: str) -> Answer:
    """For a script. `wait_url` empty: there is nowhere to wait."""
    status, title, text, *_ = SAID[code]
    body = {"type": "about:blank", "title": title, "status": status, "detail": text, "code": code}
    headers = _headers(JSON, status)
    if wait_url:
        body |= {"room": room, "waitUrl": wait_url, "retryAfterMs": RETRY_S * 1000}
        headers.append(("X-Tiketi-Redirect", wait_url))
    return _answer(status, headers, json.dumps(body).encode())


def page(code: str, languages: str) -> Answer:
    """For a person, in Korean if that is what their browser asks for first."""
    status, *texts = SAID[code]
    lang = "ko" if languages.strip().lower().startswith("ko") else "en"
    title, text = texts[2:] if lang == "ko" else texts[:2]
    said = PAGE.format(lang=lang, title=escape(str(title)), text=escape(str(text)))
    return _answer(status, _headers("text/html; charset=utf-8", status), said.encode())


def _headers(media_type: str, status: int) -> list[tuple[str, str]]:
    headers = [("Content-Type", media_type), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")]
    return [*headers, ("Retry-After", str(RETRY_S))] if status == HTTPStatus.SERVICE_UNAVAILABLE else headers


def _answer(status: int, headers: list[tuple[str, str]], body: bytes) -> Answer:
    return Answer(status, [*headers, ("Content-Length", str(len(body)))], body)
