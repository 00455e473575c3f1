"""The pages' words: both languages say everything, and say it in the reader's language, zone and rounding."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter
from typing import Any

import pytest
from starlette.requests import Request

import app.http
from app.http.kit.i18n import TEXTS, Entry, Lang, lang_of
from app.http.kit.render import unbroken

HTTP = Path(app.http.__file__).parent
EVENING = datetime(2026, 11, 28, 10, 0, tzinfo=UTC)


def placeholders(entry: Entry) -> set[str]:
    sentences = entry.values() if isinstance(entry, dict) else [entry]
    return {name for sentence in sentences for _, name, _, _ in Formatter().parse(sentence) if name}


def test_both_languages_have_the_same_keys_and_placeholders() -> None:
    ko, en = TEXTS["ko"].entries, TEXTS["en"].entries
    assert ko.keys() == en.keys()
    assert [key for key in ko if placeholders(ko[key]) != placeholders(en[key])] == []


def test_every_key_begins_with_the_capability_it_is_of() -> None:
    """`common.` goes to every script; the kit has what every page says."""
    capabilities = {path.name for path in HTTP.iterdir() if (path / "__init__.py").exists()}
    assert {key for key in TEXTS["ko"].entries if key.partition(".")[0] not in {*capabilities, "common"}} == set()


def test_no_sentence_is_empty() -> None:
    said = [(lang, key) for lang, texts in TEXTS.items() for key, entry in texts.entries.items() if not entry]
    assert said == []


@pytest.mark.parametrize("pattern", ["*/templates/*.html", "*/js/*.js", "**/*.py"])
def test_every_key_that_is_named_exists(pattern: str) -> None:
    """Keys put together from parts (`line.room.` + state) end in a dot or a quote before the part: not seen here."""
    named = {
        key
        for path in HTTP.glob(pattern)
        for key in re.findall(r"""(?<![\w.])t\(["'`]([a-z]+\.[a-zA-Z_.]+[a-zA-Z_])["'`][,)]""", path.read_text())
    }
    assert named, "the pattern finds no key: it no longer fits the sources"
    assert named - TEXTS["ko"].entries.keys() == set()


@pytest.mark.parametrize("state", ["scheduled", "open", "paused", "draining", "closed", "recovering", "direct", "full"])
def test_every_room_state_has_a_word_and_a_sentence(state: str) -> None:
    assert TEXTS["ko"].has(f"line.room.{state}")
    assert TEXTS["en"].has(f"line.room.says.{state}")


def request(query: str = "", cookie: str = "", accept: str = "") -> Request[Any]:
    headers = [(b"cookie", cookie.encode()), (b"accept-language", accept.encode())]
    return Request({"type": "http", "query_string": query.encode(), "headers": headers})


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "lang"),
    [
        ("", "", "", "ko"),
        ("lang=en", "tiketi_lang=ko", "ko", "en"),
        ("", "tiketi_lang=en", "ko", "en"),
        ("", "", "en-GB,en;q=0.9,ko;q=0.8", "en"),
        ("", "", "fr,ko;q=0.5,en;q=0.7", "en"),
        ("", "", "en;q=0,ko;q=0.1", "ko"),
        ("", "", "ko; q=0.1, EN-us; q=0.2", "en"),
        ("lang=EN", "", "ko", "en"),
        ("lang=xx", "tiketi_lang=nonsense", "fr;q=abc,*", "ko"),
    ],
)
def test_the_language_is_what_was_asked_for_most_directly(query: str, cookie: str, accept: str, lang: Lang) -> None:
    assert lang_of(request(query, cookie, accept)) == lang


def test_a_time_is_shown_in_the_event_s_zone_and_names_it() -> None:
    assert TEXTS["ko"].time(EVENING, "Asia/Seoul") == "2026년 11월 28일 (토) 19:00 (KST, Asia/Seoul)"
    assert TEXTS["ko"].time(EVENING, "UTC").endswith(" (UTC)")
    assert TEXTS["en"].time(EVENING, "America/New_York") == "Sat 28 Nov 2026, 05:00 (EST, America/New_York)"


def test_one_is_not_many() -> None:
    assert TEXTS["en"]("common.seats", n=1) == "1 seat"
    assert TEXTS["en"]("common.seats", n=1200) == "1,200 seats"
    assert TEXTS["ko"]("common.seats", n=1) == "1석"


def test_numbers_have_separators_and_round_halves_up_as_browsers_do() -> None:
    assert [TEXTS["en"].number(value) for value in (1234567, 2.0, 1234.5678)] == ["1,234,567", "2", "1,234.568"]
    assert [TEXTS["en"].number(value, 1) for value in (0.25, 0.35, 0.04)] == ["0.3", "0.4", "0"]
    assert [TEXTS["ko"].percent(share) for share in (0.1225, 1)] == ["12.3%", "100.0%"]
    assert TEXTS["ko"]("common.money", amount=150000) == "150,000원"


def test_every_plural_of_a_language_has_a_form() -> None:
    for texts in TEXTS.values():
        forms = set(texts.locale.plural_form.tags) | {"other"}
        wrong = {key for key, entry in texts.entries.items() if isinstance(entry, dict) and entry.keys() != forms}
        assert wrong == set(), texts.lang


def test_a_title_is_not_broken_after_its_opening_mark() -> None:
    assert unbroken("투어 <별의 항로>") == "투어 <\N{WORD JOINER}별의 항로>"
