"""Korean and English for the pages: which language a request asked for, and its words, numbers and times.

`?lang=` wins, then the cookie, then Accept-Language, then Korean. Both languages hold the same keys and the same
placeholders (a test proves it). How numbers, dates and plurals are written is CLDR's, by Babel; scripts ask the
browser's Intl, which has the same tables. Times are shown in the event's own zone, with the zone named.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, cast
from zoneinfo import ZoneInfo

from babel import Locale, negotiate_locale
from babel.dates import parse_pattern as date_pattern
from babel.numbers import parse_pattern as number_pattern
from starlette.requests import Request

from app.http.kit.brand import brand_of

Lang = Literal["ko", "en"]
LANGS: tuple[Lang, ...] = ("ko", "en")
DEFAULT_LANG: Lang = "ko"
LANG_COOKIE = "tiketi_lang"
SITE = ".site"  # how the key of a text ends that stands for another one on pages of a site behind a room
ACCEPT_LANGUAGE_PARTS_MAX = 20

Entry = str | dict[str, str]  # a sentence, or its forms by plural category
KEPT_WORDS = 4096  # numbers and moments written once: Babel takes some 15 µs for each, and pages repeat them
PERCENT = number_pattern("#,##0.0%")


@dataclass(frozen=True, slots=True)
class Texts:
    """One language's words. `of_sites`: those of pages of a site behind a room."""

    lang: Lang
    locale: Locale
    entries: dict[str, Entry]
    of_sites: bool = False

    def __call__(self, key: str, **values: object) -> str:
        """The sentence for `key`; numbers get thousands separators, `n` chooses the plural form."""
        entry = self.entries[key]
        if isinstance(entry, dict):
            n = values.get("n")
            form = self.locale.plural_form(n) if isinstance(n, int | float) else "other"
            entry = entry.get(form, entry["other"])
        return entry.format_map({name: self._shown(value) for name, value in values.items()})

    def _shown(self, value: object) -> object:
        return self.number(value) if isinstance(value, int | float) else value

    def has(self, key: str) -> bool:
        return key in self.entries

    def under(self, *prefixes: str) -> dict[str, Entry]:
        """The entries a script needs, by the beginnings of their keys."""
        return {key: entry for key, entry in self.entries.items() if key.startswith(prefixes)}

    def number(self, value: float, digits: int = 3) -> str:
        """With thousands separators and at most `digits` decimals."""
        return _number(self.locale, value, digits)

    def percent(self, share: float) -> str:
        """A share of 1 with one decimal: `12.3%`."""
        return str(PERCENT.apply(_rounded(share, 3), self.locale))

    def money(self, amount: int) -> str:
        return self("common.money", amount=amount)

    def time(self, moment: datetime, zone: str) -> str:
        """Date and time in the event's zone, naming the zone: `2026년 11월 28일 (토) 19:00 (KST, Asia/Seoul)`."""
        return _moment(self.locale, str(self.entries["kit.moment"]), moment, zone)


@lru_cache(KEPT_WORDS)
def _number(locale: Locale, value: float, digits: int) -> str:
    return str(locale.decimal_formats[None].apply(_rounded(value, digits), locale))


def _rounded(value: float, digits: int) -> Decimal:
    """A half goes away from zero, as in browsers; Babel by itself would go to the even digit."""
    return Decimal(str(value)).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


@lru_cache(KEPT_WORDS)
def _moment(locale: Locale, pattern: str, moment: datetime, zone: str) -> str:
    local = moment.astimezone(ZoneInfo(zone))
    names = dict.fromkeys((local.tzname(), zone))  # UTC is called so in both ways
    return f"{date_pattern(pattern).apply(local, locale)} ({', '.join(map(str, names))})"


def _load(lang: Lang) -> Texts:
    text = (Path(__file__).parent.parent / "locales" / f"{lang}.json").read_text(encoding="utf-8")
    texts = Texts(lang, Locale.parse(lang), json.loads(text))
    texts.number(0)  # has Babel read the language's tables now, and not while the first page waits
    return texts


def _of_sites(texts: Texts) -> Texts:
    """The words on pages of a site behind a room: `KEY.site` in place of `KEY`, which speaks of the shop's events."""
    own = {key.removesuffix(SITE): entry for key, entry in texts.entries.items() if key.endswith(SITE)}
    return replace(texts, entries=texts.entries | own, of_sites=True)


TEXTS: dict[Lang, Texts] = {lang: _load(lang) for lang in LANGS}
TEXTS_OF_SITES: dict[Lang, Texts] = {lang: _of_sites(texts) for lang, texts in TEXTS.items()}


def texts_for(request: Request[Any]) -> Texts:
    """The words of this page, in the language of this request."""
    return (TEXTS if brand_of(request) is None else TEXTS_OF_SITES)[lang_of(request)]


def lang_of(request: Request[Any]) -> Lang:
    """The language of this request: of its address, `?lang=`, then the cookie, then Accept-Language, then Korean."""
    asked = (request.path_params.get("lang"), request.query_params.get("lang"), request.cookies.get(LANG_COOKIE))
    tags = [*filter(None, asked), *_accepted(request.headers.get("accept-language", ""))]
    found = negotiate_locale([tag.lower() for tag in tags], LANGS, sep="-")
    return DEFAULT_LANG if found is None else cast("Lang", found)


def _accepted(header: str) -> list[str]:
    """Language tags of an Accept-Language header, most wanted first; what cannot be read is left out."""
    ranked: list[tuple[float, str]] = []
    for part in header.split(",")[:ACCEPT_LANGUAGE_PARTS_MAX]:
        tag, _, quality = part.replace(" ", "").partition(";q=")
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if tag and weight > 0:
            ranked.append((-weight, tag))
    return [tag for _, tag in sorted(ranked, key=lambda pair: pair[0])]
