"""Korean and English for the pages: which language a request asked for, and its words, numbers and times.

`?lang=` wins, then the cookie, then Accept-Language, then Korean. Both languages hold the same keys and
the same placeholders (a test proves it). Times are shown in the event's own zone, with the zone named.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from starlette.requests import Request

Lang = Literal["ko", "en"]
LANGS: tuple[Lang, ...] = ("ko", "en")
DEFAULT_LANG: Lang = "ko"
LANG_COOKIE = "tiketi_lang"
HOURS_FROM_S = 2 * 3600  # a longer wait is told in hours
ACCEPT_LANGUAGE_PARTS_MAX = 20

Entry = str | dict[str, str]  # a sentence, or its forms by plural category
_DAYS_KO = ("월", "화", "수", "목", "금", "토", "일")
_DAYS_EN = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Texts:
    """One language's words."""

    lang: Lang
    entries: dict[str, Entry]

    def __call__(self, key: str, **values: object) -> str:
        """The sentence for `key`; integers get thousands separators, `n` chooses the plural form."""
        entry = self.entries[key]
        if isinstance(entry, dict):
            entry = entry[self._plural(values.get("n"))]
        shown = {name: f"{value:,}" if isinstance(value, int) else value for name, value in values.items()}
        return entry.format_map(shown)

    def has(self, key: str) -> bool:
        return key in self.entries

    def under(self, *prefixes: str) -> dict[str, Entry]:
        """The entries a script needs, by the beginnings of their keys."""
        return {key: entry for key, entry in self.entries.items() if key.startswith(prefixes)}

    def money(self, amount: int) -> str:
        return self("common.money", amount=amount)

    def time(self, moment: datetime, zone: str) -> str:
        """Date and time in the event's zone, naming the zone: `2026년 11월 28일 (토) 19:00 (KST, Asia/Seoul)`."""
        local = moment.astimezone(ZoneInfo(zone))
        clock = f"{local:%H:%M} ({local.tzname()}, {zone})"
        if self.lang == "ko":
            return f"{local.year}년 {local.month}월 {local.day}일 ({_DAYS_KO[local.weekday()]}) {clock}"
        return f"{_DAYS_EN[local.weekday()]} {local.day} {_MONTHS_EN[local.month - 1]} {local.year}, {clock}"

    def wait(self, low_s: float, high_s: float) -> str:
        """An honest range: rounded outwards to minutes, or to hours when it is long."""
        if high_s < 60:
            return self("wait.eta.soon")
        unit, size = ("hours", 3600) if high_s >= HOURS_FROM_S else ("minutes", 60)
        low, high = math.floor(low_s / size), math.ceil(high_s / size)
        if low < 1:
            return self(f"wait.eta.{unit}.under", n=high)
        if low == high:
            return self(f"wait.eta.{unit}.about", n=high)
        return self(f"wait.eta.{unit}.range", low=low, high=high)

    def _plural(self, n: object) -> str:
        return "one" if n == 1 and self.lang == "en" else "other"


def _load(lang: Lang) -> Texts:
    text = (Path(__file__).parent.parent / "locales" / f"{lang}.json").read_text(encoding="utf-8")
    return Texts(lang, json.loads(text))


TEXTS: dict[Lang, Texts] = {lang: _load(lang) for lang in LANGS}


def texts_for(request: Request[Any]) -> Texts:
    return TEXTS[lang_of(request)]


def lang_of(request: Request[Any]) -> Lang:
    """The language of this request: `?lang=`, then the cookie, then Accept-Language, then Korean."""
    asked = (request.query_params.get("lang"), request.cookies.get(LANG_COOKIE))
    return _first_known([*asked, *_accepted(request.headers.get("accept-language", ""))])


def _first_known(tags: Iterable[str | None]) -> Lang:
    for tag in tags:
        for lang in LANGS:
            if tag and tag.lower().split("-")[0] == lang:
                return lang
    return DEFAULT_LANG


def _accepted(header: str) -> list[str]:
    """Language tags of an Accept-Language header, most wanted first; what cannot be read is left out."""
    ranked: list[tuple[float, str]] = []
    for part in header.split(",")[:ACCEPT_LANGUAGE_PARTS_MAX]:
        tag, _, quality = part.strip().partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if tag and weight > 0:
            ranked.append((-weight, tag))
    return [tag for _, tag in sorted(ranked, key=lambda pair: pair[0])]
